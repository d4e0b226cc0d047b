import type { FramedStream } from '../../links/streams/framed-stream.js'
import { formatAnswer } from '../exchange/exchange-messages.js'

/** Answers in place of the service, and ends this direction. @param method of the request: HEAD gets no body */
export function answerInPlace(stream: FramedStream, method: string, status: number, message: string): void {
  const text = Buffer.from(`${message}\n`)
  const hasBody = method !== 'HEAD'
  const fields = ['Content-Type', 'text/plain; charset=utf-8', 'Content-Length', String(text.length)]
  stream.message(formatAnswer(hasBody ? 'length' : 'none', { status, reason: '', minor: 1, fields }))
  if (hasBody) stream.write(text)
  stream.end()
}
