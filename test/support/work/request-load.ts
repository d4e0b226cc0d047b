import { Agent, type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'
import type { TestContext } from 'node:test'

/** A request of the load, and what its caller was told. */
export interface LoadRequest {
  readonly id: string
  readonly method: string
  /** The status of the answer; undefined: its connection broke, before the answer or in it. */
  status?: number
  text?: string
}

export interface RequestLoad {
  /** Requests whose callers were told something. */
  readonly told: readonly LoadRequest[]
  /** Requests that nobody was told anything of within 30 s. */
  readonly untold: readonly LoadRequest[]
  /** Requests under way. */
  readonly waiting: number
  /** Resolves when no request is under way any more. */
  stop(): Promise<void>
}

const WORKERS = 12
/** Issue and docs/services.md: a dead peer is noticed within 28 s. */
const TOLD_WITHIN_MS = 30_000
const BODY = Buffer.alloc(20_000, 'x')

/** One request after another by each of several callers, of several kinds. @param url of the service */
export function startRequestLoad(t: TestContext, url: string): RequestLoad {
  const agent = new Agent({ keepAlive: true })
  const told: LoadRequest[] = []
  const untold: LoadRequest[] = []
  let waiting = 0
  let isOver = false
  const workers = Array.from({ length: WORKERS }, async (_, worker) => {
    for (let index = 0; !isOver; index += 1) {
      const asked = { id: `${worker}-${index}`, ...kindOf(worker + index) }
      waiting += 1
      const result = await ask(agent, url, asked)
      waiting -= 1
      ;(result.isTold ? told : untold).push({ id: asked.id, method: asked.method, ...result.answer })
    }
  })
  const stop = async () => {
    isOver = true
    await Promise.all(workers)
    agent.destroy()
  }
  t.after(() => {
    isOver = true
    agent.destroy()
  })
  return {
    told,
    untold,
    get waiting() {
      return waiting
    },
    stop
  }
}

interface Asked {
  readonly id: string
  readonly method: string
  readonly path: string
  readonly body?: Buffer
  readonly isChunked?: boolean
}

function kindOf(number: number): Omit<Asked, 'id'> {
  const kinds = [
    { method: 'GET', path: '/' },
    { method: 'POST', path: '/', body: BODY },
    { method: 'GET', path: '/slow/' },
    { method: 'PUT', path: '/', body: BODY, isChunked: true },
    { method: 'POST', path: '/slow/', body: Buffer.alloc(0) }
  ]
  return kinds[number % kinds.length] ?? { method: 'GET', path: '/' }
}

interface Told {
  readonly isTold: boolean
  readonly answer?: Pick<LoadRequest, 'status' | 'text'>
}

function ask(agent: Agent, url: string, { id, method, path, body, isChunked = false }: Asked): Promise<Told> {
  return new Promise(resolve => {
    const headers = body === undefined || isChunked ? {} : { 'content-length': String(body.length) }
    const sent = request(`${url}${path}${id}`, { method, agent, headers })
    const limit = setTimeout(() => {
      resolve({ isTold: false })
      sent.destroy()
    }, TOLD_WITHIN_MS)
    const end = (answer?: Told['answer']) => {
      clearTimeout(limit)
      resolve({ isTold: true, ...(answer === undefined ? {} : { answer }) })
    }
    sent.on('error', () => end())
    sent.on('response', (response: IncomingMessage) => {
      text(response).then(
        all => end({ status: response.statusCode ?? 0, text: all }),
        () => end()
      )
    })
    sent.end(body)
  })
}
