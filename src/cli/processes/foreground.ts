import { spawn } from 'node:child_process'
import { EXIT } from '../command-error.js'

/** Runs it in the foreground, with the signals that come here. @returns its exit code */
export function runInForeground([program = '', ...args]: readonly string[]): Promise<number> {
  const child = spawn(program, args, { stdio: 'inherit' })
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
