import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode } from '../cli/command-error.js'
import { putInPlace } from '../cli/put-in-place.js'

/** A file that was received, as it was put in place. */
export interface ReceivedFile {
  readonly hash: string
  readonly sizeBytes: number
  readonly modifiedAtMs: number
  /** Whether its command was run; always true where there is none. */
  readonly isDone: boolean
}

/** A file that was shared, by its hash. */
export interface SharedByUs {
  readonly hash: string
  readonly sharedAtMs: number
}

interface Content {
  received: Record<string, ReceivedFile>
  shared: Record<string, SharedByUs>
}

/** What an agent remembers of its files, in `<storage.path>/files.json`. */
export class FileState {
  private constructor(
    private readonly path: string,
    private readonly content: Content
  ) {}

  /** What cannot be read counts as forgotten: files are fetched and shared once more, and no more. */
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

  /** Durable once it resolves. */
  async setReceived(key: string, file: ReceivedFile): Promise<void> {
    this.content.received[key] = file
    await this.#write()
  }

  async setShared(key: string, file: SharedByUs): Promise<void> {
    this.content.shared[key] = file
    await this.#write()
  }

  async #write(): Promise<void> {
    await (await putInPlace(this.path, JSON.stringify(this.content))).keep()
  }
}

async function read(path: string): Promise<Content> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'))
    const { received, shared } = { ...(value as Partial<Content> | null) }
    return { received: { ...received }, shared: { ...shared } }
  } catch (error) {
    if (error instanceof SyntaxError || errorCode(error) === 'ENOENT') return { received: {}, shared: {} }
    throw error
  }
}
