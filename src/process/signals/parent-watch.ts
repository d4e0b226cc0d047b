import { Socket } from 'node:net'
import { askStop } from './stop-signal.js'

/** The variable that names the descriptor of a pipe from the parent, for a process that is to end with it. */
const PIPE_VARIABLE = 'TREELINE_PARENT_PIPE'
/** The first descriptor after those of input, output and errors. */
const PIPE_FD = 3

/** The environment of a process whose fourth descriptor is a pipe from this one. */
export function withParentPipe(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { ...env, [PIPE_VARIABLE]: String(PIPE_FD) }
}

/** Stops as SIGTERM does once the parent is gone, however it ended, if it gave a pipe. */
export function stopWithParent(): void {
  const isGiven = process.env[PIPE_VARIABLE] === String(PIPE_FD)
  delete process.env[PIPE_VARIABLE] // it is not for the commands that this process runs
  if (!isGiven) return
  try {
    const pipe = new Socket({ fd: PIPE_FD, readable: true, writable: false })
    pipe
      .on('error', () => undefined)
      .on('close', askStop)
      .unref()
      .resume()
  } catch {
    // there is no such pipe: nothing to go by
  }
}
