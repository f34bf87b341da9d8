// An application in Node, which does what it is asked to, line by line, on one connection. See ../neighbours.rs.
'use strict';

function driver() {
  try {
    return { name: 'node:sqlite', Database: require('node:sqlite').DatabaseSync };
  } catch {
    // Older than Node 22.5.
  }
  try {
    return { name: 'better-sqlite3', Database: require('better-sqlite3') };
  } catch {
    console.error('there is neither node:sqlite nor better-sqlite3 here');
    process.exit(1);
  }
}

const { name, Database } = driver();
const db = new Database(process.argv[2]);
db.exec('PRAGMA busy_timeout = 60000');
console.log(name);

const prepared = new Map();
let reading;

function statement(sql) {
  if (!prepared.has(sql)) prepared.set(sql, db.prepare(sql));
  return prepared.get(sql);
}

function select(sql, values) {
  try {
    return statement(sql).all(...values);
  } catch (error) {
    // node:sqlite of many a version counts the columns of a kept `SELECT *` before SQLite has seen that there are
    // fewer, after any ALTER TABLE too. It fails once, and does not read wrong.
    if (!/^Cannot get name of column/.test(error.message) || !sql.includes('*')) throw error;
    return statement(sql).all(...values);
  }
}

function run(sql, values) {
  if (sql.startsWith('SELECT')) return select(sql, values);
  if (/^(BEGIN|COMMIT)/.test(sql)) db.exec(sql);
  else statement(sql).run(...values);
  return [];
}

function read(count) {
  const rows = [];
  while (rows.length < count) {
    const { value, done } = reading.next();
    if (done) break;
    rows.push(value);
  }
  return rows;
}

function answer([what, sql, more]) {
  try {
    if (what === 'read') reading = db.prepare(sql).iterate();
    const rows = what === 'run' ? run(sql, more) : read(what === 'read' ? more : Infinity);
    return { rows: rows.map(Object.entries) };
  } catch (error) {
    return { error: error.message };
  }
}

require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  console.log(JSON.stringify(answer(JSON.parse(line))));
});
