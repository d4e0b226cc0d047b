import { createRequire } from 'node:module'
import type BetterSqlite from 'better-sqlite3'

/**
 * better-sqlite3 13 needs the Node-API of Node 22. Version 12 is for Node 20 alone: on Node 24 the process ends
 * when one of its statements is garbage-collected (`node::ObjectWrap` there takes back a cleanup hook, for which a
 * collection has no environment). scripts/prepare/native.mjs makes the same choice.
 */
const PACKAGE = Number(process.versions.node.split('.')[0]) >= 22 ? 'better-sqlite3' : 'better-sqlite3-node20'

/** The class that opens a database file: better-sqlite3, in the version that this Node can run. */
export const Sqlite = createRequire(import.meta.url)(PACKAGE) as typeof BetterSqlite
