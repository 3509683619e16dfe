"""kafka-python: topic, records, offsets by time, a group, and what the group has committed."""

import sys

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

BROKER, TOPIC, GROUP = sys.argv[1], "from_kafka_python", "kafka-python"

admin = KafkaAdminClient(bootstrap_servers=BROKER)
admin.create_topics([NewTopic(TOPIC, 2, 1)])
assert TOPIC in admin.list_topics()
assert len(admin.describe_topics([TOPIC])[0]["partitions"]) == 2

producer = KafkaProducer(bootstrap_servers=BROKER, acks="all", enable_idempotence=True)
for number in (1, 2, 3):
    value = f"value {number}".encode()
    written = producer.send(TOPIC, value, key=b"key", partition=1, timestamp_ms=number * 1000).get(15)
    assert written.offset == number - 1, written
producer.close()

partition = TopicPartition(TOPIC, 1)
consumer = KafkaConsumer(
    TOPIC, bootstrap_servers=BROKER, group_id=GROUP, auto_offset_reset="earliest", enable_auto_commit=False,
    consumer_timeout_ms=15_000,
)
seen = [next(consumer).value for _ in range(3)]
assert seen == [b"value 1", b"value 2", b"value 3"], seen
assert consumer.offsets_for_times({partition: 1500})[partition].offset == 1
assert consumer.offsets_for_times({partition: 9000})[partition] is None
assert consumer.end_offsets([partition]) == {partition: 3}
group = admin.describe_groups([GROUP])[GROUP]
assert group["group_state"] == "Stable", group
consumer.commit()
consumer.close()

committed = admin.list_group_offsets([GROUP])[GROUP]
assert committed[partition].offset == 3, committed
assert GROUP in [found["group_id"] for found in admin.list_groups()]
admin.delete_groups([GROUP])
admin.delete_topics([TOPIC])
assert TOPIC not in admin.list_topics()
admin.close()
