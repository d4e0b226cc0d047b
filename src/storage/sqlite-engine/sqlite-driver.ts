import { createRequire } from 'node:module'
import type BetterSqlite from 'better-sqlite3'
import { asStorageFailure, translated } from './sqlite-failure.js'

/**
 * better-sqlite3 13 needs the Node-API of Node 22. Version 12 is for Node 20 alone: on Node 24 the process ends
 * when one of its statements is garbage-collected (`node::ObjectWrap` there takes back a cleanup hook, for which a
 * collection has no environment). scripts/prepare/native.mjs makes the same choice.
 */
const PACKAGE = Number(process.versions.node.split('.')[0]) >= 22 ? 'better-sqlite3' : 'better-sqlite3-node20'

const Driver = createRequire(import.meta.url)(PACKAGE) as typeof BetterSqlite

type AnyWork = Parameters<BetterSqlite.Database['transaction']>[0]

/**
 * The class that opens a database file: better-sqlite3, in the version that this Node can run. Whatever SQLite refuses
 * as any storage can is thrown as a StorageFailure, so that nobody else knows its codes.
 */
export class Sqlite extends Driver {
  constructor(file: string, options?: BetterSqlite.Options) {
    try {
      super(file, options)
    } catch (error) {
      throw asStorageFailure(error)
    }
  }

  override prepare<Given extends unknown[] | object = unknown[], Result = unknown>(source: string) {
    return translating(translated(() => super.prepare<Given, Result>(source)))
  }

  override transaction<Work extends AnyWork>(work: Work): BetterSqlite.Transaction<Work> {
    const begun = super.transaction(work)
    const translatedRun =
      (run: (...given: never[]) => unknown) =>
      (...given: unknown[]) =>
        translated((): unknown => Reflect.apply(run, undefined, given))
    const { deferred, immediate, exclusive } = begun
    return Object.assign(translatedRun(begun), {
      default: translatedRun(begun),
      deferred: translatedRun(deferred),
      immediate: translatedRun(immediate),
      exclusive: translatedRun(exclusive)
    }) as BetterSqlite.Transaction<Work>
  }

  override exec(source: string): this {
    return translated(() => super.exec(source))
  }

  override pragma(source: string, options?: BetterSqlite.PragmaOptions): unknown {
    return translated(() => super.pragma(source, options))
  }
}

/** Gives a statement methods of its own, which call those of its class. */
function translating<Prepared extends object>(statement: Prepared): Prepared {
  for (const name of ['run', 'get', 'all', 'iterate']) {
    const method: unknown = Reflect.get(statement, name)
    if (typeof method !== 'function') continue
    Reflect.set(statement, name, (...given: unknown[]): unknown => {
      try {
        return Reflect.apply(method, statement, given)
      } catch (error) {
        throw asStorageFailure(error)
      }
    })
  }
  return statement
}
