import type { TestContext } from 'node:test'
import {
  Metadata,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type sendUnaryData,
  status
} from '@grpc/grpc-js'

export const toBytes = (text: string): Buffer => Buffer.from(text)
export const toText = (bytes: Buffer): string => bytes.toString()

/** A method of the service of the tests, whose messages are texts. */
function method(name: string, requestStream: boolean, responseStream: boolean): MethodDefinition<string, string> {
  return {
    path: pathOf(name),
    requestStream,
    responseStream,
    requestSerialize: toBytes,
    requestDeserialize: toText,
    responseSerialize: toBytes,
    responseDeserialize: toText
  }
}

/** The path at which a method is asked for. */
export function pathOf(name: string): string {
  return `/test.Texts/${name}`
}

const TEXTS: ServiceDefinition = {
  echo: method('echo', false, false),
  join: method('join', true, false),
  split: method('split', false, true),
  talk: method('talk', true, true),
  refuse: method('refuse', false, true),
  wait: method('wait', false, true)
}

export interface TextService {
  readonly port: number
  /** Calls of `wait` that their callers gave up. */
  readonly cancelled: () => number
  /** Calls of `wait` under way. */
  readonly waiting: () => number
}

/** Starts a server of gRPC. @param identity for TLS; without it HTTP/2 goes in the clear */
export async function startTextService(
  t: TestContext,
  identity?: { readonly certificatePem: string; readonly privateKeyPem: string }
): Promise<TextService> {
  let cancelled = 0
  let waiting = 0
  const server = new Server({ 'grpc.max_receive_message_length': -1 })
  server.addService(TEXTS, {
    echo(call: ServerUnaryCall<string, string>, answer: sendUnaryData<string>) {
      const said = call.metadata.get('x-said').join('+')
      const first = new Metadata()
      first.set('x-first', `a ${said}`)
      call.sendMetadata(first)
      const last = new Metadata()
      last.set('x-last', `b ${said}`)
      last.set('x-last-bin', Buffer.of(0, 255))
      answer(null, call.request, last)
    },
    join(call: ServerReadableStream<string, string>, answer: sendUnaryData<string>) {
      let text = ''
      call.on('data', part => {
        text += String(part)
      })
      call.on('end', () => answer(null, text))
    },
    split(call: ServerWritableStream<string, string>) {
      for (const part of call.request.split(' ')) call.write(part)
      call.end()
    },
    talk(call: ServerDuplexStream<string, string>) {
      call.on('data', text => call.write(`you said ${String(text)}`))
      call.on('end', () => call.end())
    },
    refuse(call: ServerWritableStream<string, string>) {
      const metadata = new Metadata()
      metadata.set('x-why', 'because')
      call.emit('error', { code: status.NOT_FOUND, details: 'there is no ünicorn', metadata })
    },
    wait(call: ServerWritableStream<string, string>) {
      waiting += 1
      call.write('waiting')
      call.on('cancelled', () => {
        waiting -= 1
        cancelled += 1
      })
    }
  })
  const credentials =
    identity === undefined
      ? ServerCredentials.createInsecure()
      : ServerCredentials.createSsl(null, [
          { cert_chain: Buffer.from(identity.certificatePem), private_key: Buffer.from(identity.privateKeyPem) }
        ])
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error === null ? resolve(bound) : reject(error)))
  })
  t.after(() => server.forceShutdown())
  return { port, cancelled: () => cancelled, waiting: () => waiting }
}
