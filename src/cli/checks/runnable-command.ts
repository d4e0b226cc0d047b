import { access, constants, stat } from 'node:fs/promises'

/** Why a command cannot be run; undefined when it can. A folder may be entered, which the system calls executable too. */
export async function whyNotRunnable(path: string): Promise<string | undefined> {
  try {
    await access(path, constants.X_OK)
    return (await stat(path)).isFile() ? undefined : 'is no file'
  } catch {
    return 'is not there, or may not be run by this user'
  }
}
