import { open, rm, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { rememberPlace } from '../file-system/folders/same-place.js'
import { diskFailure, type StorageFolder, vanished } from '../values/failures/disk-failure.js'
import { errorMessage } from '../values/failures/system-error.js'
import { settledWithin } from '../values/time/settled-within.js'

/** The time for which a result holds. Anyone may ask whether the relay is ready, so the disk is not asked each time. */
const GOOD_FOR_MS = 5_000
const ANSWER_LIMIT_MS = 5_000
/** The space that the smallest record takes. */
const PROBE_BYTES = 4_096
/** `~` is in no id. */
const PROBE = '.probe~'
/** The folders of a relay inside its two main ones. */
const INNER_FOLDERS: readonly string[] = ['runs', '.incoming~', '.outbox~']

interface WatchedFolder extends StorageFolder {
  readonly isSame: () => boolean
}

/** Looks whether the folders are still there, and can be written to, by writing to them. */
export class DiskWatch {
  #looking: Promise<string | undefined> | undefined
  #goodUntilMs = 0

  readonly #folders: readonly WatchedFolder[]

  /** @param folders which are there */
  constructor(
    folders: readonly StorageFolder[],
    private readonly goodForMs = GOOD_FOR_MS
  ) {
    this.#folders = folders.map(folder => ({ ...folder, isSame: rememberPlace(folder.path) }))
  }

  /** The problem of a folder a moment ago, and which folder; undefined while there is none. Never rejects. */
  problem(): Promise<string | undefined> {
    if (this.#looking === undefined || performance.now() > this.#goodUntilMs) {
      this.#goodUntilMs = Number.POSITIVE_INFINITY // one look at a time, however long it takes
      this.#looking = this.#look().finally(() => {
        this.#goodUntilMs = performance.now() + this.goodForMs
      })
    }
    return this.#looking
  }

  async #look(): Promise<string | undefined> {
    const found = await Promise.all(this.#folders.map(folder => withinLimit(probe(folder), folder)))
    const problems = found.filter(problem => problem !== undefined)
    return problems.length === 0 ? undefined : [...new Set(problems)].join('\n')
  }
}

async function probe(folder: WatchedFolder): Promise<string | undefined> {
  const path = join(folder.path, PROBE)
  try {
    if (!folder.isSame()) return vanished(folder.path, folder).message
    const replaced = await fileInPlaceOf(folder)
    if (replaced !== undefined) return replaced
    await rm(path, { force: true }) // a crash may have left it, and what else has its name is not written to
    const file = await open(path, 'wx', 0o600)
    try {
      await file.writeFile(Buffer.alloc(PROBE_BYTES, '.')) // a short write is no success: it goes on, and fails
    } finally {
      await file.close()
      await unlink(path)
    }
    return undefined
  } catch (error) {
    const named = diskFailure(error, [folder])
    const reason = errorMessage(error)
    return named?.message ?? `${folder.setting} (${folder.path}) cannot be written to: ${reason}`
  }
}

/**
 * The file that stands in the place of a folder. A missing folder is made again when it is needed; a file in its
 * place prevents that.
 */
async function fileInPlaceOf({ setting, path }: WatchedFolder): Promise<string | undefined> {
  for (const name of INNER_FOLDERS) {
    const inner = join(path, name)
    const found = await stat(inner).catch(() => undefined)
    if (found?.isFile() === true) {
      return `${inner} in ${setting} (${path}) is a file, where a folder belongs; move it away: the folder is made again`
    }
  }
  return undefined
}

/** @param work never rejects */
async function withinLimit(
  work: Promise<string | undefined>,
  { setting, path }: StorageFolder
): Promise<string | undefined> {
  if (await settledWithin(work, ANSWER_LIMIT_MS)) return work
  return `the disk that holds ${setting} (${path}) does not answer`
}
