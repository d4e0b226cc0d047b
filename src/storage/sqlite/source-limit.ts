import type { FileKey } from '../../values/ids.js'
import type { Database } from '../sqlite-engine/database.js'

/** Counts the files of a source, kept and waiting together. */
export interface SourceCounter {
  count(source: string): number
  /** Whether a source has so many files, and none with this key. */
  isOneTooMany(key: FileKey, maxOfSource: number): boolean
}

export function createSourceCounter(db: Database): SourceCounter {
  const countOf = db
    .prepare<[{ source: string }], number>(
      `SELECT (SELECT count(*) FROM shared_files WHERE source = @source)
         + (SELECT count(*) FROM outbox WHERE source = @source)`
    )
    .pluck()
  const key = 'target = @target AND source = @source AND file_id = @fileId'
  const isKnown = db
    .prepare<[FileKey], number>(
      `SELECT EXISTS (SELECT 1 FROM shared_files WHERE ${key}) OR EXISTS (SELECT 1 FROM outbox WHERE ${key})`
    )
    .pluck()
  const count = (source: string) => countOf.get({ source }) ?? 0
  return {
    count,
    isOneTooMany: ({ target, source, fileId }, maxOfSource) =>
      isKnown.get({ target, source, fileId }) !== 1 && count(source) >= maxOfSource
  }
}
