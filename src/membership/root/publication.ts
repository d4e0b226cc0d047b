import { createHash } from 'node:crypto'
import { dirname } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { replaceFile } from '../../file-system/files/durable-file.js'
import { findItself } from '../../file-system/files/if-there.js'
import { readRegularFile } from '../../file-system/files/regular-file.js'
import { formatCertificate } from '../../keys/certificates/pem.js'
import { checkSubfolder, makeSubfolder } from '../../storage/folders/make-subfolder.js'
import { diskFailure } from '../../values/failures/disk-failure.js'
import { errorMessage } from '../../values/failures/system-error.js'
import { ROOT_ID } from '../../values/ids.js'
import type { CertificateCursor, MemberRepository } from './member-repository.js'
import { checkNotOlder, writePublished } from './published-tree.js'

const PAGE = 500
const MODE = 0o640

/** The files that the import reads. */
interface TreeFiles {
  readonly nodesListFile: string
  readonly nodesCertsFile: string
}

export interface PublicationOptions extends TreeFiles {
  readonly repository: MemberRepository
  /** Has the tree read the two files. @returns what is wrong with them */
  readonly reload: () => Promise<string | undefined>
  /** Tells what was revoked, before the tree is another one. */
  readonly revocations?: { publish(): Promise<void> }
  readonly now: () => number
}

/** Makes the members the tree: writes them into the files that the import reads, and has it read them. */
export class Publication {
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined
  /** The version of the members that is the tree. */
  #published: number | undefined
  #problem: string | undefined

  constructor(private readonly options: PublicationOptions) {}

  /** Why the members are not the tree; undefined where they are, or nothing was tried yet. */
  get problem(): string | undefined {
    return this.#problem
  }

  /** Whether there are members, or changes of them, that are not in the tree. */
  async isBehind(): Promise<boolean> {
    return this.#problem !== undefined || (await this.options.repository.version()) !== this.#published
  }

  /** Publishes where something is not in the tree yet. @throws {Error} as {@link publish} */
  async catchUp(): Promise<void> {
    if (await this.isBehind()) await this.publish()
  }

  /**
   * Resolves once all that is in the repository now is the tree. Calls while another one is under way share the next.
   * @throws {Error} when a file cannot be written, or the tree does not take it; it is whole in any case
   */
  publish(): Promise<void> {
    if (this.#running === undefined) return this.#start()
    this.#next ??= this.#running
      .catch(() => undefined) // its own callers hear of it; this one writes all of it again
      .then(() => {
        this.#next = undefined
        return this.#start()
      })
    return this.#next
  }

  #start(): Promise<void> {
    this.#running = this.#publish()
      .then(
        version => {
          this.#published = version
          this.#problem = undefined
        },
        (error: unknown) => {
          this.#problem = this.#describe(error)
          throw error
        }
      )
      .finally(() => {
        this.#running = undefined
      })
    return this.#running
  }

  #describe(error: unknown): string {
    const folder = { setting: 'general.nodes_list_file', path: dirname(this.options.nodesListFile) }
    return diskFailure(error, [folder])?.message ?? errorMessage(error)
  }

  /** @returns the version that the tree is now, or an older one of a change that came meanwhile */
  async #publish(): Promise<number> {
    const version = await this.options.repository.version()
    const { repository, nodesListFile, nodesCertsFile, reload, now } = this.options
    await checkMembers(repository, nodesListFile)
    await checkReplaceable({ nodesListFile, nodesCertsFile })
    await makeSubfolder(dirname(nodesListFile), 0o750)
    await this.options.revocations?.publish()
    await writeTreeFiles(repository, { nodesListFile, nodesCertsFile }, now())
    const problem = await reload()
    if (problem !== undefined) throw new Error(problem)
    return version
  }
}

/**
 * Checks that the members may become the tree.
 * @throws {Error} when they are lost, or older than what was handed down
 */
export async function checkMembers(repository: MemberRepository, nodesListFile: string): Promise<void> {
  await checkHasRoot(repository, nodesListFile)
  await checkNotOlder(repository, nodesListFile)
}

/**
 * Checks that both files of the tree can be written.
 * @throws {Error} where something else has the name of their folder, or a folder that of a file, whose place no file can take
 */
export async function checkReplaceable({ nodesListFile, nodesCertsFile }: TreeFiles): Promise<void> {
  checkSubfolder(dirname(nodesListFile))
  for (const [setting, path] of [
    ['general.nodes_list_file', nodesListFile],
    ['general.nodes_certs_file', nodesCertsFile]
  ] as const) {
    if ((await findItself(path))?.isDirectory() !== true) continue
    throw new Error(
      `${setting} = ${path} is a folder, and should be a file: move it away, and it is made anew at the start`
    )
  }
}

/**
 * The root is a member from the start and for ever: a repository without it was lost, or is another one.
 * @throws {Error} so that no empty tree is written over the list that is there, nor handed down
 */
async function checkHasRoot(repository: MemberRepository, nodesListFile: string): Promise<void> {
  if ((await repository.member(ROOT_ID)) === undefined) throw new Error(membersGone(nodesListFile))
}

/** The advice for a tree whose members are lost. @param nodesListFile the list of those that were handed down last */
export function membersGone(nodesListFile: string): string {
  return `the members of this tree are gone from state.db in storage.path: put a copy from a backup in its place, or run "treeline nodes restore --config <folder>", which makes them from ${nodesListFile}; then start again`
}

/** Writes both files where they differ, each at once and durably. */
export async function writeTreeFiles(repository: MemberRepository, files: TreeFiles, nowMs: number): Promise<void> {
  await makeSubfolder(dirname(files.nodesListFile), 0o750)
  await writePublished(files.nodesListFile, await repository.version())
  const listed = new Set<string>()
  await writePieces(files.nodesListFile, nodesList(repository, listed))
  await writePieces(files.nodesCertsFile, certificates(repository, nowMs, listed))
}

/** @param listed gets the ids in the list */
async function* nodesList(repository: MemberRepository, listed: Set<string>): AsyncGenerator<string> {
  let before = '{'
  for (let last = ''; ; ) {
    const page = await repository.members(last, PAGE)
    for (const { id, hostname, policyServer, keyHash, port } of page) {
      const node = {
        hostname,
        'policy-server': policyServer,
        'key-hash': keyHash,
        ...(port === undefined ? {} : { port }) // for `treeline nodes restore` alone
      }
      listed.add(id)
      yield `${before}\n${JSON.stringify(id)}: ${JSON.stringify(node)}`
      before = ','
    }
    last = page.at(-1)?.id ?? ''
    if (page.length < PAGE) break
  }
  yield before === '{' ? '{}\n' : '\n}\n'
}

/** @param listed ids of the members in the list; others joined meanwhile, and come with the next list */
async function* certificates(
  repository: MemberRepository,
  nowMs: number,
  listed: ReadonlySet<string>
): AsyncGenerator<string> {
  let cursor: CertificateCursor | undefined
  do {
    const page = await repository.certificates(nowMs, cursor, PAGE)
    for (const { der, memberId } of page.certificates) {
      if (listed.has(memberId)) yield formatCertificate(der)
    }
    cursor = page.next
  } while (cursor !== undefined)
}

/** Writes a file anew. One that would stay the same is left alone: it need not be read again. */
async function writePieces(path: string, pieces: AsyncIterable<string>): Promise<void> {
  await replaceFile(path, MODE, async file => {
    const digest = createHash('sha256')
    let chunk: string[] = []
    const write = async () => {
      const text = chunk.join('')
      chunk = []
      digest.update(text)
      await file.writeFile(text) // goes on after a short write, as of a disk with little room: FileHandle.write does not
      await nextTurn()
    }
    for await (const piece of pieces) if (chunk.push(piece) === PAGE) await write()
    await write()
    return digest.digest('hex') !== (await digestOf(path))
  })
}

async function digestOf(path: string): Promise<string | undefined> {
  try {
    return createHash('sha256')
      .update(await readRegularFile(path))
      .digest('hex')
  } catch {
    return undefined // absent or unreadable: written anew
  }
}
