import { join } from 'node:path'
import { replaceContent } from '../../file-exchange/atomic-write.js'
import { readRegularFile } from '../../file-system/files/regular-file.js'
import { errorMessage, isMissing } from '../../values/failures/system-error.js'
import { createTurns } from '../../values/time/in-turn.js'

/** The properties by which the system tells one file from another, besides its content. */
export interface FileIdentity {
  readonly inode: number
  /**
   * The time of the last change of the inode. No program can set it, unlike the time of the last change of the
   * content.
   */
  readonly statusChangedAtMs: number
  readonly uid: number
  readonly gid: number
  readonly mode: number
}

/** A file that was received, as it was put in place. */
export interface ReceivedFile {
  readonly hash: string
  readonly sizeBytes: number
  readonly modifiedAtMs: number
  /** Tells of a change that left size and time as they were. Left out: it is not known, and the file is fetched once more. */
  readonly identity?: FileIdentity
  /** Whether its command was run; always true where there is none. */
  readonly isDone: boolean
}

/** A file that was shared, by its hash. */
export interface SharedByUs {
  readonly hash: string
  readonly sharedAtMs: number
  /** The time in its signature; left out: the same. */
  readonly signedAtMs?: number
}

interface Content {
  received: Record<string, ReceivedFile>
  shared: Record<string, SharedByUs>
  /** Ms since 1970: when the newest file was signed that was taken, by `source/file-id`. */
  signed: Record<string, number>
}

/** The record that an agent keeps of its files, in `<storage.path>/files.json`. */
export class FileState {
  /** Whether the file lacks something, since a disk refused it. */
  #isBehind = false
  /** Commands end beside other files: an older record must not replace a newer one. */
  readonly #inTurn = createTurns()

  private constructor(
    private readonly path: string,
    private readonly content: Content
  ) {}

  /** @throws {Error} when it cannot be read: forgotten, it would let older files in again */
  static async open(folder: string): Promise<FileState> {
    const path = join(folder, 'files.json')
    return new FileState(path, await read(path))
  }

  received(key: string): ReceivedFile | undefined {
    return this.content.received[key]
  }

  shared(key: string): SharedByUs | undefined {
    return this.content.shared[key]
  }

  /** When the newest file of that name was signed that was taken, wherever it went. */
  signedAtMs(source: string, fileId: string): number | undefined {
    return this.content.signed[`${source}/${fileId}`]
  }

  /** Durable once it resolves. Without a time nothing is known of it. */
  async setSigned(source: string, fileId: string, signedAtMs: number | undefined): Promise<void> {
    if (signedAtMs === undefined) return
    this.content.signed[`${source}/${fileId}`] = signedAtMs
    await this.#write()
  }

  /** Durable once it resolves. */
  async setReceived(key: string, file: ReceivedFile): Promise<void> {
    this.content.received[key] = file
    await this.#write()
  }

  async setShared(key: string, file: SharedByUs): Promise<void> {
    this.content.shared[key] = file
    await this.#write()
  }

  /** Writes what could not be written before: a restart would know nothing of it. */
  async catchUp(): Promise<void> {
    if (this.#isBehind) await this.#write()
  }

  #write(): Promise<void> {
    return this.#inTurn(async () => {
      this.#isBehind = true
      await replaceContent(this.path, JSON.stringify(this.content))
      this.#isBehind = false
    })
  }
}

async function read(path: string): Promise<Content> {
  try {
    const value: unknown = JSON.parse((await readRegularFile(path)).toString('utf8'))
    const { received, shared, signed } = { ...(value as Partial<Content> | null) }
    if (!Object.values({ ...signed }).every(Number.isSafeInteger))
      throw new SyntaxError('signed has a time in it that is none')
    return { received: { ...received }, shared: { ...shared }, signed: { ...signed } }
  } catch (error) {
    if (isMissing(error)) return { received: {}, shared: {}, signed: {} }
    const advice = 'restore it, or remove it: then files are fetched and shared once more, and older ones may be taken'
    throw new Error(`${path} cannot be used (${errorMessage(error)}): ${advice}`, { cause: error })
  }
}
