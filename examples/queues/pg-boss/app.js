// A worker on pg-boss: it takes a job, and completes it with what it found out.
//
// An ordinary service; it knows nothing of Deadheat. `node app.js prepare` makes the tables of pg-boss and sends a job.
// A job that was taken more than a minute ago has expired, and is given to whoever asks then.
import http from "node:http";
import PgBoss from "pg-boss";

const QUEUE = "reports";
const connectionString = process.env.DATABASE_URL;

// What has expired is looked for with every request, instead of by a clock.
async function start(options) {
  const boss = new PgBoss({ connectionString, max: 5, supervise: false, schedule: false, ...options });
  boss.on("error", (error) => console.error(error.message));
  return boss.start();
}

async function prepare() {
  const boss = await start({ migrate: true });
  await boss.createQueue(QUEUE, { retryLimit: 3, expireInSeconds: 60 });
  await boss.send(QUEUE, { about: "September" });
  await boss.stop();
}

async function work(boss) {
  await boss.expire();
  const [job] = await boss.fetch(QUEUE, { includeMetadata: true });
  if (!job) return [204];
  const attempt = job.retryCount;
  await boss.complete(QUEUE, job.id, { attempt });
  return [200, { attempt }];
}

async function serve() {
  const boss = await start({ migrate: false });
  const route = async ({ method, url }) => {
    if (method === "GET" && url === "/health") return [200, { status: "ok" }];
    if (method === "POST" && url === "/work") return work(boss);
    return [404, { error: "not found" }];
  };
  const server = http.createServer(async (request, response) => {
    const [status, value] = await route(request).catch((error) => [500, { error: error.message }]);
    response.writeHead(status, { "content-type": "application/json" });
    response.end(value && JSON.stringify(value));
  });
  server.listen(Number(process.env.PORT), "127.0.0.1");
}

await (process.argv[2] === "prepare" ? prepare() : serve());
