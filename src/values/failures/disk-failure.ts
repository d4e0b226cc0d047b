import { RelayError } from './relay-error.js'
import { type StorageFailureKind, storageFailureKind } from './storage-failure.js'
import { errorCode, errorMessage } from './system-error.js'

/** The program that keeps a folder. */
type Keeper = 'relay' | 'agent'

/** A folder of the relay or agent, and the setting that names it. */
export interface StorageFolder {
  readonly setting: string
  readonly path: string
  /** The program that a message gives its advice for. @default relay */
  readonly keeper?: Keeper
}

type Describe = (folder: string, path: string, keeper: Keeper) => string

const FULL: Describe = folder =>
  `the disk that holds ${folder} is full; nothing was stored, free some space (or inodes, see df -i) or try again later`
const QUOTA: Describe = (folder, _path, keeper) =>
  `the disk quota of the ${keeper}'s user is used up where ${folder} is; nothing was stored, raise it or free some space`
const READ_ONLY: Describe = folder =>
  `${folder} is on a file system that is read-only now; mount it for writing again (a disk with errors? see the kernel's log)`
/** The storage says no more than that it may not write. */
const READ_ONLY_OR_FORBIDDEN: Describe = (folder, _path, keeper) =>
  `${folder} is on a file system that is read-only now, or the ${keeper}'s user may not write state.db, or the files state.db-wal and state.db-shm beside it; mount it for writing again (a disk with errors? see the kernel's log), or correct its owner and permissions`
const FORBIDDEN: Describe = (folder, path, keeper) =>
  `the ${keeper}'s user may not use ${path === '' ? folder : `${path} in ${folder}`}; correct its owner and permissions`
const MISPLACED: Describe = (folder, path) =>
  `a folder is where a file belongs, or the other way round, in ${folder}${path === '' ? '' : `: ${path}`}; move it away`
const SPLIT: Describe = folder => `parts of ${folder} are on different file systems; everything in it has to be on one`
const BROKEN: Describe = folder => `the disk that holds ${folder} reports errors; see the kernel's log`
const TOO_LARGE: Describe = (folder, _path, keeper) =>
  `a file in ${folder} would be larger than its file system, or the limit of the ${keeper} (LimitFSIZE of the unit), allows; nothing was stored`
const GONE: Describe = folder =>
  `the file system of ${folder} does not answer: its server or device is gone, or busy; see that it is mounted and reachable`
const NO_MEMORY: Describe = (folder, _path, keeper) =>
  `the system has no memory left for what the ${keeper} does in ${folder}; try again in a moment`
const BROKEN_OR_QUOTA: Describe = (folder, _path, keeper) =>
  `the disk that holds ${folder} reports errors, or the disk quota of the ${keeper}'s user is used up; see the kernel's log, and the quota`
const NO_FILES: Describe = (_folder, _path, keeper) =>
  `the ${keeper}, or its machine, has as many files open as it may (LimitNOFILE of the unit); try again in a moment`
const DAMAGED: Describe = (folder, _path, keeper) =>
  keeper === 'agent' ? DAMAGED_OF_AGENT(folder) : DAMAGED_OF_RELAY(folder)
/** SQLite calls a database damaged that it cannot read, too: the file itself may be whole. */
const DISK_FIRST = "But first see the kernel's log: a disk with errors makes a whole one look damaged"
const DAMAGED_OF_AGENT = (folder: string) =>
  `state.db in ${folder} is damaged; stop the agent, move it and its -wal and -shm away, and start the agent again: only records of runs are gone. ${DISK_FIRST}`
const DAMAGED_OF_RELAY = (folder: string) =>
  `state.db in ${folder} is damaged; stop the relay, and put a copy from a backup in its place, or, at the root of a tree of members, make it anew with "treeline nodes restore" (docs/operations.md). ${DISK_FIRST}`
const LOCKED: Describe = folder => `another program is using a database in ${folder}; try again in a moment`
const CANNOT_OPEN: Describe = folder =>
  `a database in ${folder} cannot be opened; see that it is a file, that owner and permissions allow it, and that its file system is mounted for writing`

const MISSING: Describe = (folder, path, keeper) =>
  `${path === '' ? folder : `${path} in ${folder}`} is not there any more; put it back, or mount its disk again. If it is to be gone, restart the ${keeper}`

/** The failures by the code of the system call. */
const FAILURES: ReadonlyMap<string, Describe> = new Map([
  ['ENOSPC', FULL],
  ['EDQUOT', QUOTA],
  ['EROFS', READ_ONLY],
  ['EACCES', FORBIDDEN],
  ['EPERM', FORBIDDEN],
  ['EISDIR', MISPLACED],
  ['ENOTDIR', MISPLACED],
  ['ENOTEMPTY', MISPLACED],
  ['ELOOP', MISPLACED],
  ['ENOENT', MISSING],
  ['EXDEV', SPLIT],
  ['EIO', BROKEN],
  ['ESTALE', BROKEN],
  ['ENXIO', BROKEN],
  ['EREMOTEIO', BROKEN],
  ['EFBIG', TOO_LARGE],
  ['ENOTCONN', GONE], // FUSE, whose process has ended
  ['ENODEV', GONE],
  ['ETIMEDOUT', GONE], // NFS, mounted with `soft`
  ['EBUSY', GONE],
  ['ENOMEM', NO_MEMORY],
  ['EMFILE', NO_FILES],
  ['ENFILE', NO_FILES]
])

/** The failures of the storage of records. */
const STORAGE_FAILURES: Readonly<Record<StorageFailureKind, Describe>> = {
  full: FULL,
  'read-only': READ_ONLY_OR_FORBIDDEN,
  broken: BROKEN,
  'broken-or-quota': BROKEN_OR_QUOTA,
  damaged: DAMAGED,
  locked: LOCKED,
  'cannot-open': CANNOT_OPEN
}

const IS_FULL: ReadonlySet<Describe> = new Set([FULL, QUOTA])

/** System calls of sockets and processes fail with the same codes, and say nothing of a disk. */
const OTHER_CALLS = /^(?:connect|bind|listen|accept|socket|getaddrinfo|spawn|kill|shutdown)/
/** Codes that reading and writing of a socket has as well. */
const ALSO_OF_SOCKETS: ReadonlySet<string> = new Set(['ENOTCONN', 'ETIMEDOUT', 'ENOMEM'])

/**
 * The one place with words for what a disk, a file system or the storage of records refuses: an expected failure, which names the
 * folder and what to do. `STORAGE_FULL` where room is missing, else `STORAGE_UNUSABLE`.
 * @param folders that it may be about: the one that holds the failed path is named, or the last one where no path is known
 * @returns undefined when `error` is nothing of the kind
 */
export function diskFailure(error: unknown, folders: readonly StorageFolder[]): RelayError | undefined {
  const kind = storageFailureKind(error)
  const describe = kind === undefined ? describeCode(error) : STORAGE_FAILURES[kind]
  if (describe === undefined || OTHER_CALLS.test(textOf(error, 'syscall'))) return undefined
  const path = textOf(error, 'dest') || textOf(error, 'path')
  const folder =
    kind !== undefined
      ? (folders.find(({ setting }) => setting === 'storage.path') ?? folders.at(-1))
      : path === ''
        ? folders.at(-1)
        : folderOf(path, folders)
  if (describe === MISSING && (folder === undefined || path === '')) return undefined // any file may be absent
  const name = folder === undefined ? (path === '' ? 'its data' : path) : `${folder.setting} (${folder.path})`
  const shown = folder === undefined || path === folder.path ? '' : path
  return new RelayError(
    IS_FULL.has(describe) ? 'STORAGE_FULL' : 'STORAGE_UNUSABLE',
    describe(name, shown, folder?.keeper ?? folders[0]?.keeper ?? 'relay'),
    {
      cause: error
    }
  )
}

function describeCode(error: unknown): Describe | undefined {
  const code = errorCode(error) ?? ''
  // Node begins the message of a failed call for a file with the code, that of one for a socket with the call.
  if (ALSO_OF_SOCKETS.has(code) && !errorMessage(error).startsWith(code)) return undefined
  return FAILURES.get(code)
}

/**
 * The error for a file or folder of the relay that was removed or replaced while the relay runs, or whose disk is not
 * mounted any more: nothing is made in its place, since that would be on another disk, or another relay's.
 */
export function vanished(path: string, folder: StorageFolder): RelayError {
  const name = `${folder.setting} (${folder.path})`
  return new RelayError('STORAGE_UNUSABLE', MISSING(name, path === folder.path ? '' : path, folder.keeper ?? 'relay'))
}

/** @returns what to throw in the place of `error` */
export function asDiskFailure(error: unknown, folders: readonly StorageFolder[]): unknown {
  return diskFailure(error, folders) ?? error
}

/** The innermost that holds it. */
function folderOf(path: string, folders: readonly StorageFolder[]): StorageFolder | undefined {
  return folders
    .filter(folder => path === folder.path || path.startsWith(`${folder.path}/`))
    .reduce<StorageFolder | undefined>(
      (inner, folder) => (inner === undefined || folder.path.length > inner.path.length ? folder : inner),
      undefined
    )
}

function textOf(error: unknown, member: 'dest' | 'path' | 'syscall'): string {
  if (typeof error !== 'object' || error === null) return ''
  const value: unknown = Object.getOwnPropertyDescriptor(error, member)?.value
  return typeof value === 'string' ? value : ''
}
