/**
 * The end of a process whose terminal has gone (a closed SSH session). Node restores the settings of its terminal at
 * the end, and aborts where that fails: SIGABRT and a native stack trace in place of the exit code. It leaves a
 * descriptor alone that has become another file. Each program imports this early, while its terminal is there.
 */
import { closeSync, openSync } from 'node:fs'
import { isatty } from 'node:tty'

const terminals = [0, 1, 2].filter(fd => isatty(fd))

process.once('exit', () => {
  for (const fd of terminals) if (!isatty(fd)) replaceByNothing(fd)
})

/** Puts /dev/null in the place of a descriptor, so that what is still written does not get into a file opened since. */
function replaceByNothing(fd: number): void {
  try {
    closeSync(fd)
    openSync('/dev/null', 'r+') // the lowest free descriptor: that one
  } catch {
    // closed or not there: Node leaves it alone as well
  }
}
