import { constants, existsSync, renameSync, rmSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { syncFolder } from '../file-system/folders/sync-folder.js'
import { formatCertificate } from '../keys/certificates/pem.js'
import { checkSubfolder, makeSubfolder } from '../storage/folders/make-subfolder.js'
import { MAX_CERTIFICATES_BYTES } from '../tree/import/certificates-list.js'
import { MAX_NODE_COUNT, MAX_NODES_LIST_BYTES } from '../tree/import/nodes-list.js'
import { TreeDigest } from './tree-digest.js'
import { type TreeEntry, TreeLinesError } from './tree-lines.js'

const { O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_TRUNC, O_WRONLY } = constants
const LIST = 'nodeslist.json'
const CERTIFICATES = 'allnodescerts.pem'
/** The ending of a file that is being written. */
const PART = '.part'
/** Whole and on disk, and to be put in place. */
const NEW = '.new'

const BUFFERED_LENGTH = 256 * 1024

/** A tree that was written, and is not in place yet. */
export interface WrittenTree {
  readonly listFile: string
  /** The digest over all that was written. */
  readonly digest: string
  readonly nodeCount: number
}

/**
 * Writes a tree beside the one in place, fsynced.
 * @param onCertificate gives the SHA-256 of one, or throws when it is none of this node
 * @throws {TreeLinesError} when a node comes twice, or there is more than may be imported
 */
export async function writeTree(
  folder: string,
  entries: AsyncIterable<TreeEntry>,
  onCertificate: (der: Buffer, nodeId: string) => Buffer
): Promise<WrittenTree> {
  await makeSubfolder(folder, 0o750)
  const listFile = join(folder, LIST + PART)
  const list = await TextFile.create(listFile, MAX_NODES_LIST_BYTES)
  let certificates: TextFile | undefined
  try {
    certificates = await TextFile.create(join(folder, CERTIFICATES + PART), MAX_CERTIFICATES_BYTES)
    const digest = new TreeDigest()
    const ids = new Set<string>()
    for await (const entry of entries) {
      const { id, hostname, policyServer, keyHash } = entry
      if (ids.has(id)) throw new TreeLinesError(`it has the node ${id} twice`)
      if (ids.size >= MAX_NODE_COUNT) throw new TreeLinesError(`it has more than ${MAX_NODE_COUNT} nodes`)
      const value = { hostname, 'policy-server': policyServer, 'key-hash': keyHash }
      await list.write(`${ids.size === 0 ? '{' : ','}\n${JSON.stringify(id)}: ${JSON.stringify(value)}`)
      ids.add(id)
      digest.addNode(entry)
      for (const der of entry.certificates) {
        digest.addCertificate(id, onCertificate(der, id))
        await certificates.write(formatCertificate(der))
      }
    }
    await list.write(ids.size === 0 ? '{}\n' : '\n}\n')
    await list.sync()
    await certificates.sync()
    return { listFile, digest: digest.toString(), nodeCount: ids.size }
  } finally {
    await list.close()
    await certificates?.close()
  }
}

/** Puts what {@link writeTree} wrote in place. From the moment that the new list has its name, it will be. */
export async function placeTree(folder: string): Promise<void> {
  renameSync(join(folder, CERTIFICATES + PART), join(folder, CERTIFICATES + NEW))
  await syncFolder(folder)
  renameSync(join(folder, LIST + PART), join(folder, LIST + NEW))
  await syncFolder(folder)
  finishPlacing(folder)
  await syncFolder(folder)
}

/**
 * Finishes what a former process began. Called at start, before the files are read: two names cannot be changed at
 * once, so a kill may come between.
 * @throws {Error} where something else is in the place of the folder
 */
export function finishPlacing(folder: string): void {
  checkSubfolder(folder)
  if (existsSync(join(folder, LIST + NEW))) {
    // the list goes last: while its new one is there, this can be done again
    if (existsSync(join(folder, CERTIFICATES + NEW))) {
      renameSync(join(folder, CERTIFICATES + NEW), join(folder, CERTIFICATES))
    }
    renameSync(join(folder, LIST + NEW), join(folder, LIST))
  }
  for (const rest of [CERTIFICATES + NEW, CERTIFICATES + PART, LIST + PART]) rmSync(join(folder, rest), { force: true })
}

/** A file that is written in larger pieces than it is given. */
class TextFile {
  #text = ''
  #bytes = 0

  private constructor(
    private readonly handle: FileHandle,
    private readonly file: string,
    private readonly maxBytes: number
  ) {}

  static async create(file: string, maxBytes: number): Promise<TextFile> {
    return new TextFile(await open(file, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK, 0o640), file, maxBytes)
  }

  async write(text: string): Promise<void> {
    this.#text += text
    if (this.#text.length >= BUFFERED_LENGTH) await this.#flush()
  }

  async sync(): Promise<void> {
    await this.#flush()
    await this.handle.sync()
  }

  close(): Promise<void> {
    return this.handle.close()
  }

  async #flush(): Promise<void> {
    const bytes = Buffer.from(this.#text)
    this.#text = ''
    this.#bytes += bytes.length
    if (this.#bytes > this.maxBytes)
      throw new TreeLinesError(`${this.file} would have more than ${this.maxBytes} bytes`)
    await this.handle.writeFile(bytes) // goes on where the last one ended
  }
}
