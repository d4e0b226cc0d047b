import { existsSync } from 'node:fs'

/**
 * Linux: opens a descriptor that only stands for what was found. No right to read is needed, and a device is not touched by
 * it. Node has no name for it.
 */
export const O_PATH = 0o10000000

const DESCRIPTORS = '/proc/self/fd'

/** Whether what is open can be used by the path of its descriptor, which leads to nothing else: on Linux, with /proc. */
export const CAN_HOLD = process.platform === 'linux' && existsSync(DESCRIPTORS)

/** The path of what is open: a name in a folder, as `<path>/<name>`, means that folder whatever takes its place. */
export function descriptorPath(fd: number): string {
  return `${DESCRIPTORS}/${fd}`
}

/** Added by the system to the path of what is open and has no name any more. */
export const GONE = ' (deleted)'

/** Changes an error of the system that names what is in a folder by `at`, so that it is named by `path`. @returns that error */
export function renameInError(error: unknown, at: string, path: string): unknown {
  if (!(error instanceof Error) || at === path) return error
  for (const member of ['path', 'dest', 'message']) {
    const text: unknown = Object.getOwnPropertyDescriptor(error, member)?.value
    if (typeof text === 'string') Object.assign(error, { [member]: text.replaceAll(`${at}/`, `${path}/`) })
  }
  return error
}
