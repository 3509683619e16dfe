// Somebody who may write to the topics, with events of their own.

import { randomUUID } from "node:crypto";
import kafkajs from "kafkajs";

const { Kafka, logLevel } = kafkajs;
const BROKER = process.env.KAFKA_BROKERS ?? "127.0.0.1:9092";
const TOPICS = { account_exists: "user_account_created", user_account_verified: "user_account_verified" };
const HOUR = 3_600_000;

/** Writes an event of this kind about each of these people. */
export async function publish(kind, people) {
  const producer = new Kafka({ brokers: [BROKER], logLevel: logLevel.ERROR }).producer();
  await producer.connect();
  try {
    await producer.send({ topic: TOPICS[kind], messages: people.map((person) => message(kind, person)) });
  } finally {
    await producer.disconnect();
  }
}

function message(kind, { firstName, lastName, email, lang }) {
  const now = Date.now();
  const [account, event] = [derivedId(), derivedId()];
  const value = {
    event_id: event,
    occurred_at: new Date(now).toISOString(),
    version: 2,
    id: account,
    registration: randomUUID(),
    first_name: firstName,
    last_name: lastName,
    email,
    locale: lang,
    request_id: event,
  };
  if (kind === "account_exists") {
    Object.assign(value, { resends: 0, window: Math.floor(now / HOUR), send: 1, expires_at: new Date(now + HOUR).toISOString(), key: "any" });
  }
  return { key: account, value: JSON.stringify(value), headers: { ce_type: kind } };
}

/** As ids look that are derived. */
const derivedId = () => randomUUID().replace(/-4/, "-8");
