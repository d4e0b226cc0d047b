import { spawn } from 'node:child_process'

const PROGRESS_EVERY_MS = 5_000

/**
 * Runs one step: a line when it begins, a line every five seconds while it lasts, a line with its time when it ends.
 * @param {string} title
 * @param {(say: (now: () => string) => void) => Promise<void>} work gets a function to set what the progress lines say
 */
export async function step(title, work) {
  const startedAt = performance.now()
  const seconds = () => ((performance.now() - startedAt) / 1000).toFixed(1)
  let now = () => 'still at it'
  console.log(`${title} …`)
  const timer = setInterval(() => console.log(`  ${seconds()} s: ${now()}`), PROGRESS_EVERY_MS)
  try {
    await work(text => {
      now = text
    })
  } finally {
    clearInterval(timer)
  }
  console.log(`${title}: done in ${seconds()} s`)
}

/**
 * Runs a command to its end.
 * @returns {Promise<{code: number | null, output: string}>} stdout and stderr together
 */
export function runCommand(command, args, options) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    const add = chunk => {
      output += chunk
    }
    child.stdout.setEncoding('utf8').on('data', add)
    child.stderr.setEncoding('utf8').on('data', add)
    child.on('error', reject)
    child.on('close', code => resolve({ code, output }))
  })
}
