import type { TreeRelay } from '../../../demo/relay-tree.js'
import { ask } from '../network/http.js'
import type { SignedFile } from './signed-files.js'

/** The contents sent under one name, in order, and how many of them the relay acknowledged. */
export interface SentFile {
  readonly target: string
  readonly source: string
  readonly fileId: string
  readonly sent: SignedFile[]
  /** Index in `sent` of the last copy that was answered 200 or 202; -1: none. */
  acknowledged: number
}

export interface PutStream {
  readonly relay: TreeRelay
  readonly targets: readonly string[]
  readonly source: string
  /** Signed contents to choose from; the signature of RSA says nothing of names. */
  readonly contents: readonly SignedFile[]
  readonly random: () => number
  /** Requests in flight. */
  readonly width: number
  /** The names of this stream alone. */
  readonly prefix: string
  /** Told of each answer of success. @param count of them so far, in all lanes */
  readonly onAcknowledged: (count: number) => void
}

/**
 * Puts files, one after another in each of `width` lanes, until the relay is gone. Every third one replaces an earlier
 * one of its lane. @returns all that was sent
 */
export async function putUntilGone(stream: PutStream): Promise<SentFile[]> {
  let count = 0
  const acknowledge = () => {
    count += 1
    stream.onAcknowledged(count)
  }
  const lanes = await Promise.all(Array.from({ length: stream.width }, (_, lane) => runLane(stream, lane, acknowledge)))
  return lanes.flat()
}

async function runLane(stream: PutStream, lane: number, acknowledge: () => void): Promise<SentFile[]> {
  const { random, targets, source } = stream
  const files: SentFile[] = []
  for (;;) {
    const again = random() < 0.33 ? pick(files, random) : undefined
    const fileId = `${stream.prefix}-${lane}-${files.length}`
    const file = again ?? { target: pick(targets, random) ?? '', source, fileId, sent: [], acknowledged: -1 }
    if (again === undefined) files.push(file)
    const content = pick(stream.contents, random)
    if (content === undefined) throw new Error('no contents to put')
    file.sent.push(content)
    const path = `/shared-files/${file.target}/${source}/${file.fileId}?ttl=1h`
    try {
      const answer = await ask(stream.relay, path, { method: 'PUT', body: content.body })
      if (answer.status !== 200 && answer.status !== 202) throw new UnexpectedAnswerError(answer.status, answer.text)
    } catch (error) {
      if (error instanceof UnexpectedAnswerError) throw error
      return files // the connection broke: it was killed
    }
    file.acknowledged = file.sent.length - 1
    acknowledge()
  }
}

class UnexpectedAnswerError extends Error {
  constructor(status: number, text: string) {
    super(`answered ${status}: ${text}`)
  }
}

function pick<T>(from: readonly T[], random: () => number): T | undefined {
  return from[Math.floor(random() * from.length)]
}
