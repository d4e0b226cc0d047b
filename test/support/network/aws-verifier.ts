import { createHash, createHmac } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { TestContext } from 'node:test'
import { openServer } from './open-server.js'

/** The key pair that the verifier knows. */
export const KNOWN_KEYS = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' }

/** A request that came to the verifier. */
export interface VerifiedRequest {
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest()
const sha256 = (bytes: string | Buffer) => createHash('sha256').update(bytes).digest('hex')
const spelt = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, character => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)

/**
 * A server that answers 200 to a request with a right signature of version 4, and 403 with the reason to any other.
 * Written from AWS's description ("Create a signed AWS API request"), not by the library that signs.
 */
export async function startAwsVerifier(t: TestContext, service: string) {
  const verified: VerifiedRequest[] = []
  const server = createServer((request, response) => {
    const pieces: Buffer[] = []
    request.on('data', (piece: Buffer) => pieces.push(piece))
    request.on('end', () => {
      const body = Buffer.concat(pieces)
      const problem = problemOf(request, body, service)
      if (problem === undefined) verified.push({ url: request.url ?? '', headers: request.headers, body })
      response.writeHead(problem === undefined ? 200 : 403).end(problem ?? 'right')
    })
  })
  return { verified, url: `http://127.0.0.1:${await openServer(t, server)}` }
}

function problemOf({ method, url = '', headers }: IncomingMessage, body: Buffer, service: string): string | undefined {
  const match =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([\w-]+)\/([\w-]+)\/aws4_request, SignedHeaders=([\w;-]+), Signature=(\w{64})$/.exec(
      headers.authorization ?? ''
    )
  if (match === null) return `no signature: ${headers.authorization}`
  const [, id, day = '', region = '', named = '', signedNames = '', signature] = match
  if (id !== KNOWN_KEYS.accessKeyId || named !== service) return `signed for ${id} and ${named}`
  const names = signedNames.split(';')
  const demanded = Object.keys(headers).filter(
    name => name.startsWith('x-amz-') || name === 'host' || name === 'content-type'
  )
  const unsigned = demanded.filter(name => !names.includes(name))
  if (unsigned.length > 0) return `not signed: ${unsigned.join()}`
  const isS3 = service === 's3'
  const told = headers['x-amz-content-sha256']
  if (isS3 && told === undefined) return 'no hash of the body'
  const actual = sha256(body)
  if (typeof told === 'string' && /^[0-9a-f]{64}$/.test(told) && told !== actual) return 'another hash of the body'
  const [path = '', query = ''] = url.split('?')
  const canonicalPath = isS3
    ? path
    : path
        .split('/')
        .filter((part, at, all) => part !== '' || at === 0 || at === all.length - 1)
        .map(spelt)
        .join('/')
  const pairs = query.split('&').filter(pair => pair !== '')
  const decoded = pairs.map(pair => pair.split('=').map(part => spelt(decodeURIComponent(part))))
  const canonicalQuery = decoded
    .map(([name = '', value = '']) => [name, value] as const)
    .sort((a, b) => (a.join('\0') < b.join('\0') ? -1 : 1))
    .map(pair => pair.join('='))
    .join('&')
  const lines = names
    .map(
      name =>
        `${name}:${String(headers[name] ?? '')
          .trim()
          .replace(/ +/g, ' ')}\n`
    )
    .join('')
  const canonical = [method, canonicalPath, canonicalQuery, lines, signedNames, told ?? actual].join('\n')
  const scope = `${day}/${region}/${service}/aws4_request`
  const toSign = ['AWS4-HMAC-SHA256', headers['x-amz-date'], scope, sha256(canonical)].join('\n')
  const key = [region, service, 'aws4_request'].reduce(hmac, hmac(`AWS4${KNOWN_KEYS.secretAccessKey}`, day))
  return hmac(key, toSign).toString('hex') === signature ? undefined : `another signature, of\n${canonical}`
}
