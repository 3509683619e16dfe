// kafkajs: topic, records by an idempotent producer, offsets by time, a group, and what the group has committed.

import assert from "node:assert/strict";
import kafkajs from "kafkajs";

const { Kafka, logLevel } = kafkajs;
const kafka = new Kafka({ clientId: "kafkajs", brokers: [process.argv[2]], logLevel: logLevel.ERROR });
const topic = "from_kafkajs", groupId = "kafkajs";
const admin = kafka.admin(), producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 200 });
await Promise.all([admin.connect(), producer.connect(), consumer.connect()]);

assert.equal(await admin.createTopics({ topics: [{ topic, numPartitions: 2 }], waitForLeaders: true }), true);
assert.ok((await admin.listTopics()).includes(topic));
assert.equal((await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length, 2);

const records = [1, 2, 3].map((number) => ({ partition: 1, key: "key", value: `value ${number}`, timestamp: String(number * 1000) }));
await producer.send({ topic, acks: -1, messages: records });
const byTime = async (time) => (await admin.fetchTopicOffsetsByTimestamp(topic, time)).find(({ partition }) => partition === 1).offset;
assert.deepEqual([await byTime(1500), await byTime(3000)], ["1", "2"]);

const seen = [];
await consumer.subscribe({ topic, fromBeginning: true });
await new Promise((resolve, reject) => {
  setTimeout(() => reject(new Error(`after 15 s the group has seen only ${seen}`)), 15_000).unref();
  consumer.on(consumer.events.END_BATCH_PROCESS, () => seen.length === records.length && resolve());
  consumer.run({ eachMessage: async ({ message }) => seen.push(message.value.toString()) }).catch(reject);
});
assert.deepEqual(seen, ["value 1", "value 2", "value 3"]);
assert.equal((await admin.describeGroups([groupId])).groups[0].state, "Stable");
await consumer.disconnect();

const committed = (await admin.fetchOffsets({ groupId, topics: [topic] }))[0].partitions;
assert.equal(committed.find(({ partition }) => partition === 1).offset, "3");
assert.ok((await admin.listGroups()).groups.some((group) => group.groupId === groupId));
await admin.deleteGroups([groupId]);
await admin.deleteTopics({ topics: [topic] });
assert.ok(!(await admin.listTopics()).includes(topic));
await Promise.all([admin.disconnect(), producer.disconnect()]);
