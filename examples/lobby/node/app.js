// A game lobby: five people may ask for a seat, a game has four.
//
// An ordinary service with a pool of connections; it knows nothing of Deadheat.
// LOBBY_VARIANT=racy (the default) counts the players and then adds one; LOBBY_VARIANT=cured locks the game first.
import http from "node:http";
import { json } from "node:stream/consumers";
import pg from "pg";

const SEATS = 4;
const LOCK = process.env.LOBBY_VARIANT === "cured" ? "for update" : "";

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 5 });
pool.on("error", (error) => console.error(error.message)); // an idle connection broke; the pool opens another

async function transaction(work) {
  const db = await pool.connect();
  try {
    await db.query("begin");
    const result = await work(db);
    await db.query("commit");
    return result;
  } catch (error) {
    await db.query("rollback");
    throw error;
  } finally {
    db.release();
  }
}

function join(game, nick) {
  return transaction(async (db) => {
    const found = await db.query(`select id from games where id = $1 ${LOCK}`, [game]);
    if (found.rowCount === 0) return [404, { error: "no such game" }];
    const taken = await db.query("select count(*)::int as n from players where game = $1", [game]);
    if (taken.rows[0].n >= SEATS) return [409, { error: "the game is full" }];
    const added = await db.query("insert into players (game, nick) values ($1, $2) returning id, nick", [game, nick]);
    return [201, added.rows[0]];
  });
}

async function players(game) {
  const list = await pool.query("select id, nick from players where game = $1 order by id", [game]);
  return [200, list.rows];
}

async function route(request) {
  const { method, url } = request;
  if (method === "GET" && url === "/health") return [200, { status: "ok" }];
  const [, game, rest] = url.match(/^\/games\/(\d+)(\/players)?$/) ?? [];
  if (method === "GET" && game && !rest) return players(game);
  if (method === "POST" && game && rest) return join(game, (await json(request)).nick);
  return [404, { error: "not found" }];
}

const server = http.createServer(async (request, response) => {
  const [status, value] = await route(request).catch((error) => [500, { error: error.message }]);
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(value));
});
server.listen(Number(process.env.PORT), "127.0.0.1");
