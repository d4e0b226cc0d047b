import { spawn } from 'node:child_process'
import { withParentPipe } from '../../process/signals/parent-watch.js'
import { EXIT } from '../command-error.js'

/** Runs it in the foreground, with the signals that come here; it stops when this process is gone. @returns its exit code */
export function runInForeground([program = '', ...args]: readonly string[]): Promise<number> {
  const child = spawn(program, args, {
    stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
    env: withParentPipe(process.env)
  })
  const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const
  const forward = (signal: NodeJS.Signals) => child.kill(signal)
  for (const signal of signals) process.on(signal, forward)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', code => {
      for (const signal of signals) process.off(signal, forward)
      resolve(code ?? EXIT.failure)
    })
  })
}
