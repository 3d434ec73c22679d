// What an application does with ioredis: the connection's port is the first argument.
// Ends with status 0 if everything behaves.

const assert = require("node:assert");
const { createRequire } = require("node:module");
const { Redis } = createRequire(process.argv[3] + "/")("ioredis");

const port = Number(process.argv[2]);

async function strings(redis) {
  assert.equal(await redis.set("name", "kevy"), "OK");
  assert.equal(await redis.get("name"), "kevy");
  assert.equal(await redis.get("missing"), null);
  assert.equal(await redis.set("name", "x", "EX", 100, "NX"), null);
  assert.equal(await redis.incrby("n", 5), 5);
  assert.deepEqual(await redis.mset({ a: "1", b: "2" }), "OK");
  assert.deepEqual(await redis.mget("a", "none", "b"), ["1", null, "2"]);
  assert.deepEqual(await redis.getBuffer("name"), Buffer.from("kevy"));
  await assert.rejects(redis.incr("name"), /not an integer/);
  await assert.rejects(redis.call("NOSUCH"), /unknown command/);
}

async function pipelines(redis) {
  const pipeline = redis.pipeline();
  for (let i = 0; i < 500; i++) pipeline.set(`p:${i}`, i).get(`p:${i}`);
  const replies = await pipeline.exec();
  replies.forEach(([error, reply], at) => {
    assert.equal(error, null);
    assert.equal(reply, at % 2 ? String((at - 1) / 2) : "OK");
  });
  const done = await redis.multi().set("x", 1).incr("x").get("x").exec();
  assert.deepEqual(done, [[null, "OK"], [null, 2], [null, "2"]]);
  const mixed = await redis.multi().set("x", "text").incr("x").get("x").exec();
  assert.match(mixed[1][0].message, /not an integer/);
  assert.deepEqual(mixed[2], [null, "text"]);
}

async function watch(redis) {
  const other = redis.duplicate();
  await redis.watch("w");
  await other.set("w", "changed");
  assert.equal(await redis.multi().set("w", "lost").exec(), null);
  assert.equal(await redis.get("w"), "changed");
  other.disconnect();
}

async function keys(redis) {
  await redis.flushdb();
  const pipeline = redis.pipeline();
  for (let i = 0; i < 500; i++) pipeline.set(`scan:${i}`, i);
  await pipeline.exec();
  const found = new Set();
  for await (const batch of redis.scanStream({ match: "scan:*", count: 40 })) batch.forEach((key) => found.add(key));
  assert.equal(found.size, 500);
  assert.equal(await redis.dbsize(), 500);
  await redis.pexpire("scan:1", 100000);
  assert.ok((await redis.pttl("scan:1")) > 90000);
}

async function databases(redis) {
  const other = new Redis({ port, db: 2 });
  await other.set("only", "here");
  assert.equal(await redis.get("only"), null);
  await redis.select(2);
  assert.equal(await redis.get("only"), "here");
  await redis.select(0);
  await other.quit();
}

async function main() {
  const redis = new Redis({ port, connectionName: "node", maxRetriesPerRequest: 1 });
  await redis.flushall();
  await strings(redis);
  await pipelines(redis);
  await watch(redis);
  await keys(redis);
  await databases(redis);
  assert.equal(await redis.client("GETNAME"), "node");
  assert.equal(await redis.quit(), "OK");

  const offline = new Redis({ port, enableAutoPipelining: true });
  const replies = await Promise.all(Array.from({ length: 200 }, (_, i) => offline.incr(`auto:${i % 7}`)));
  assert.equal(replies.length, 200);
  offline.disconnect();
  console.log("ioredis is content");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
