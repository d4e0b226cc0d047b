import { checkpoint, holdBackCheckpoints } from '../storage/checkpoint.js'
import { openDatabase } from '../storage/database.js'
import { putAside } from '../storage/put-aside.js'
import { createTopologyStore } from '../storage/topology-store.js'
import { isDamage } from '../values/disk-failure.js'
import { type ImportRequest, importTree, readStoredTree, type StoredTree } from './import-tree.js'

export interface ImportRunRequest extends ImportRequest {
  readonly databaseFile: string
  /** The import whose tree the relay has; 0 for none. */
  readonly knownGeneration: number
  /** Whether the database was found damaged since. It is only a copy of what is in the files. */
  readonly isDamaged: boolean
}

export interface ImportRunAnswer {
  /** Why the files could not be imported; undefined when they were, or have not changed. */
  readonly failure: string | undefined
  /** The tree in the database, unless it is the one that the relay has, or there is none. */
  readonly tree: StoredTree | undefined
  /** Where a damaged database is now; undefined where it was in order. */
  readonly aside?: string
}

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
    if (!request.isDamaged) {
      importInto(request, handOnce)
      return
    }
  } catch (error) {
    if (isHanded || !isDamage(error instanceof Error && error.cause !== undefined ? error.cause : error)) throw error
  }
  const aside = putAside(request.databaseFile)
  importInto(request, answer => hand({ ...answer, aside }))
}

function importInto(request: ImportRunRequest, hand: (answer: ImportRunAnswer) => void): void {
  const db = openDatabase(request.databaseFile, 'topology')
  try {
    holdBackCheckpoints(db)
    const store = createTopologyStore(db)
    let failure: string | undefined
    let tree: StoredTree | undefined
    try {
      tree = importTree(store, request, Date.now())
    } catch (error) {
      if (isDamage(error)) throw error
      failure = error instanceof Error ? error.message : String(error)
    }
    const isKnown = store.lastImport()?.generation === request.knownGeneration
    if (!tree && !isKnown) tree = readStoredTree(store, request.selfId)
    hand({ failure, tree })
    // last, when the tree is already in use
    checkpoint(db)
  } finally {
    db.close()
  }
}
