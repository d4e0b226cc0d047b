import { dirname } from 'node:path'
import { putAside } from '../../storage/folders/put-aside.js'
import { checkpoint, holdBackCheckpoints } from '../../storage/sqlite-engine/checkpoint.js'
import { NewerSchemaError, openDatabase } from '../../storage/sqlite-engine/database.js'
import { createTopologyStore } from '../../storage/topology/topology-store.js'
import { diskFailure } from '../../values/failures/disk-failure.js'
import { isDamage, storageFailureKind } from '../../values/failures/storage-failure.js'
import { errorMessage } from '../../values/failures/system-error.js'
import { type ImportRequest, importTree, readStoredTree, type StoredTree } from './import-tree.js'

export interface ImportRunRequest extends ImportRequest {
  readonly databaseFile: string
  /** The import whose tree the relay has; 0 for none. */
  readonly knownGeneration: number
  /** Whether the database was found to be useless since. It is only a copy of what is in the files. */
  readonly isUseless: boolean
}

export interface ImportRunAnswer {
  /** Why the files could not be imported; undefined when they were, or have not changed. */
  readonly failure: string | undefined
  /** The tree in the database, unless it is the one that the relay has, or there is none. */
  readonly tree: StoredTree | undefined
  /** The place of a useless database now; undefined where it was in order. */
  readonly aside?: string
  /** Whether it was the disk that failed: the same import may succeed later. */
  readonly isOfDisk?: boolean
  /** Whether the tree is that of the files, and could not be stored. */
  readonly isUnstored?: boolean
}

/** SQLite's name for a database that is on no disk. */
const IN_MEMORY = ':memory:'
/** The version of a tree that is in no file: every stored one is newer. */
const NOT_STORED = 0

/**
 * Imports the files into the database, synchronously.
 * @param hand is given the outcome as soon as the tree can be used; what follows only tidies up
 */
export function runImport(request: ImportRunRequest, hand: (answer: ImportRunAnswer) => void): void {
  let isHanded = false
  const handOnce = (answer: ImportRunAnswer) => {
    isHanded = true
    hand(answer)
  }
  try {
    if (!request.isUseless) {
      importInto(request, handOnce)
      return
    }
  } catch (error) {
    if (isHanded) throw error
    const failure = failureOfDisk(error, request)
    if (failure !== undefined) {
      importInMemory(request, failure, handOnce)
      return
    }
    if (!isUseless(error)) throw error
  }
  const aside = putAside(request.databaseFile)
  importInto(request, answer => hand({ ...answer, aside }))
}

/** Imports without a disk that can be written to: the files still say what the tree is. */
function importInMemory(request: ImportRunRequest, failure: string, hand: (answer: ImportRunAnswer) => void): void {
  importInto({ ...request, databaseFile: IN_MEMORY }, ({ tree, failure: ofFiles }) => {
    const kept = tree === undefined ? undefined : { ...tree, record: { ...tree.record, generation: NOT_STORED } }
    hand({ failure: ofFiles ?? failure, tree: kept, isOfDisk: true, isUnstored: kept !== undefined })
  })
}

function importInto(request: ImportRunRequest, hand: (answer: ImportRunAnswer) => void): void {
  const db = openDatabase(request.databaseFile, 'topology')
  try {
    holdBackCheckpoints(db)
    const store = createTopologyStore(db)
    let failure: string | undefined
    let isOfDisk = false
    let tree: StoredTree | undefined
    try {
      tree = importTree(store, request, Date.now())
    } catch (error) {
      const ofDisk = failureOfDisk(error, request)
      isOfDisk = ofDisk !== undefined
      if (isDamage(error) || (isOfDisk && store.lastImport() === undefined)) throw error
      failure = ofDisk ?? errorMessage(error)
    }
    const isKnown = store.lastImport()?.generation === request.knownGeneration
    if (!tree && !isKnown) tree = readStoredTree(store, request.selfId)
    hand({ failure, tree, isOfDisk })
    // last, when the tree is already in use
    checkpoint(db)
  } finally {
    db.close()
  }
}

/** Whether the stored tree cannot be used and is to be made anew: it is damaged, or was written by a newer version. */
export function isUseless(error: unknown): boolean {
  const cause = causeOf(error)
  return isDamage(cause) || cause instanceof NewerSchemaError
}

/** The message for an error of the database that is not about its content; undefined for all others. */
function failureOfDisk(error: unknown, { databaseFile }: ImportRunRequest): string | undefined {
  const cause = causeOf(error)
  const kind = storageFailureKind(cause)
  if (kind === undefined || kind === 'damaged') return undefined
  const isDescribed = cause !== error
  const named = isDescribed ? undefined : diskFailure(error, [{ setting: 'storage.path', path: dirname(databaseFile) }])
  return named?.message ?? errorMessage(error)
}

function causeOf(error: unknown): unknown {
  return error instanceof Error && error.cause !== undefined ? error.cause : error
}
