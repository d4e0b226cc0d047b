/**
 * Leaves the folder in which a program was started, for the root of the file system: it would keep a file system busy, and
 * once it is removed no thread can start. Called when every path that the program was given is absolute.
 */
export function leaveWorkingFolder(): void {
  process.chdir('/')
}
