import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { WebSocket } from 'ws'
import { eventually } from '../eventually.js'
import { temporaryFolder } from './treeline-command.js'

const PROGRAM = ['chromium', 'chromium-browser', 'google-chrome'].find(
  name => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0
)

/** The reason to skip a test that needs a browser; false where there is one. */
export const whyNoChromium = PROGRAM === undefined ? 'it needs chromium, and there is none' : false

/** Every name leads to this machine. Nothing is asked of the makers of the browser. */
const OPTIONS = [
  '--headless=new',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--no-first-run',
  '--no-proxy-server',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-features=HttpsUpgrades,HttpsFirstBalancedModeAutoEnable,OptimizationHints,MediaRouter',
  '--host-resolver-rules=MAP * 127.0.0.1',
  '--remote-debugging-port=0',
  'about:blank'
]

/** A page in a browser. */
export interface BrowserPage {
  /** Goes to an address as one that a user types does. */
  open(url: string): Promise<void>
  /** The value of an expression in the page, which may be a promise; undefined while the page is replaced. */
  value(expression: string): Promise<unknown>
  /** Waits until an expression in the page is true. */
  until(expression: string): Promise<void>
}

interface Message {
  readonly id?: number
  readonly error?: { readonly message: string }
  readonly result?: Record<string, unknown>
}

/** Starts Chromium without a window, and opens pages in it; it ends with the test. Each page has cookies of its own. */
export async function startChromium(t: TestContext): Promise<() => Promise<BrowserPage>> {
  if (PROGRAM === undefined) throw new Error('there is no chromium')
  const profile = await temporaryFolder(t)
  const child = spawn(PROGRAM, [`--user-data-dir=${profile}`, ...OPTIONS], { stdio: ['ignore', 'ignore', 'pipe'] })
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  const endpoint = await new Promise<string>((resolve, reject) => {
    const lines: string[] = []
    createInterface({ input: child.stderr }).on('line', line => {
      lines.push(line)
      const [, url] = /^DevTools listening on (ws:\S+)/.exec(line) ?? []
      if (url !== undefined) resolve(url)
    })
    child.once('error', reject).once('exit', () => reject(new Error(`chromium has ended: ${lines.join('\n')}`)))
  })
  const send = await openDevTools(t, endpoint)
  return async () => {
    const { browserContextId } = await send('Target.createBrowserContext')
    const { targetId } = await send('Target.createTarget', { url: 'about:blank', browserContextId })
    const { sessionId } = await send('Target.attachToTarget', { targetId, flatten: true })
    return pageOf((method, parameters) => send(method, parameters, String(sessionId)))
  }
}

type Send = (
  method: string,
  parameters?: Readonly<Record<string, unknown>>,
  sessionId?: string
) => Promise<Record<string, unknown>>

/** Connects to the browser by its DevTools protocol. */
async function openDevTools(t: TestContext, endpoint: string): Promise<Send> {
  const socket = new WebSocket(endpoint)
  await once(socket, 'open')
  t.after(() => socket.terminate())
  const waiting = new Map<number, (message: Message) => void>()
  socket.on('message', data => {
    const message = JSON.parse(String(data)) as Message
    if (message.id !== undefined) waiting.get(message.id)?.(message)
  })
  let last = 0
  return (method, params = {}, sessionId) =>
    new Promise((resolve, reject) => {
      last += 1
      const id = last
      waiting.set(id, ({ error, result = {} }) => {
        waiting.delete(id)
        if (error === undefined) resolve(result)
        else reject(new Error(`${method}: ${error.message}`))
      })
      socket.send(JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) }))
    })
}

function pageOf(send: Send): BrowserPage {
  const value = async (expression: string): Promise<unknown> => {
    try {
      const { result } = await send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true })
      return (result as { readonly value?: unknown } | undefined)?.value
    } catch {
      return undefined // the page has gone meanwhile, and the next one comes
    }
  }
  return {
    value,
    open: async url => {
      const { errorText } = await send('Page.navigate', { url })
      if (errorText !== undefined) throw new Error(`${url}: ${String(errorText)}`)
      await eventually(`${url} is there`, async () => (await value('document.readyState')) === 'complete')
    },
    until: async expression => {
      await eventually(expression, async () => (await value(expression)) === true)
    }
  }
}
