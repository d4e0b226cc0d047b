import { constants, type Stats } from 'node:fs'
import { type FileHandle, open, rm } from 'node:fs/promises'
import { renameDurably } from '../../file-system/files/durable-file.js'
import { removeLeftovers, temporaryName } from '../../file-system/files/leftovers.js'
import type { HeldFolder } from '../../file-system/folders/held-folder.js'
import { isOfRootOr } from '../../file-system/permissions/writers.js'
import { ClientError } from '../../relay-client/client-error.js'
import { cannotBeWritten, type FilePlace, noTemporaryFile } from './file-place.js'
import type { Owner } from './trusted-folder.js'

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDWR } = constants
/** Permissions alone: what else a former file had (set-user-id and the like) was not given to the new one. */
const PERMISSIONS = 0o777
const PRIVATE = 0o600
const AS_UMASK_SAYS = 0o666

export interface Attributes {
  /** Undefined: as the former file's, where it is that of root, of this process or of `owner`; of another user's, no more than it had. */
  readonly mode?: number | undefined
  /** The mode where there is no former file either; undefined: as it was made. */
  readonly defaultMode?: number | undefined
  /** Undefined: whoever this process is. */
  readonly owner?: Owner | undefined
}

/** A file that is being written beside the one whose place it will take. To be put in place or discarded. */
export class NewFile {
  #hasName = true

  private constructor(
    private readonly place: FilePlace,
    private readonly name: string,
    readonly handle: FileHandle
  ) {}

  /** @param isPrivate whether nobody else may read it before it is in place; it is in any case where a file's mode is taken */
  static async create(place: FilePlace, isPrivate: boolean, name = temporaryName(place.name)): Promise<NewFile> {
    const { folder, former } = place
    await removeLeftovers(folder, place.name)
    const mode = isPrivate || (former !== undefined && isTrusted(former)) ? PRIVATE : atMost(former, AS_UMASK_SAYS)
    const handle = await open(folder.at(name), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode)
    return new NewFile(place, name, handle)
  }

  /** Called again when it has resolved. @throws {ClientError} that names the file */
  async append(chunk: Buffer): Promise<void> {
    try {
      await this.handle.writeFile(chunk)
    } catch (error) {
      throw this.#hasName ? cannotBeWritten(this.place.path, error) : noTemporaryFile(error)
    }
  }

  /** Durable once it resolves. All is done to the open file: nobody can have it done to another one. @returns what it is now */
  async putInPlace({ mode: given, defaultMode, owner }: Attributes = {}): Promise<Stats> {
    const { folder, name, former } = this.place
    const mode = given ?? (former !== undefined && isTrusted(former, owner) ? former.mode : atMost(former, defaultMode))
    if (owner !== undefined) await this.handle.chown(owner.uid, owner.gid)
    if (mode !== undefined) await this.handle.chmod(mode & PERMISSIONS)
    await this.handle.sync()
    await renameDurably(folder, this.name, name)
    const stats = await this.handle.stat()
    const placed = await folder.find(name)
    await this.handle.close()
    // Gone is well, who waits for a file may have taken it; and so is a later one of another process of the same user.
    if (placed === undefined || (placed.isFile() && placed.uid === stats.uid)) return stats
    throw new ClientError(`${this.place.path} was replaced by somebody else while it was put in place`)
  }

  /** Removes its name: it lives no longer than this process, however that ends, and cannot be put in place. */
  async unname(): Promise<void> {
    await removeIfThere(this.place.folder, this.name)
    this.#hasName = false
  }

  async discard(): Promise<void> {
    await this.handle.close()
    await this.unname()
  }
}

/**
 * Whether the former file's mode is to be trusted. Another user could have put that file there, in a folder such as
 * /tmp, to choose who may write the new one.
 */
function isTrusted({ uid }: Stats, owner?: Owner): boolean {
  return isOfRootOr(uid, process.geteuid?.(), owner?.uid)
}

/** A mode without what a former file kept from others. */
function atMost<Mode extends number | undefined>(former: Stats | undefined, mode: Mode): Mode | number {
  return former === undefined || mode === undefined ? mode : mode & (former.mode | PRIVATE)
}

export async function removeIfThere(folder: HeldFolder, name: string): Promise<void> {
  await rm(folder.at(name), { force: true })
}
