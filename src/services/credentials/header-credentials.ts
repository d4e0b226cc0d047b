import type { ConnectionOptions } from 'node:tls'
import { type CredentialsConfig, SECRET_KEYS } from '../../config/services/service-config.js'
import type { EdgeCredentials, HeadChange } from './edge-credentials.js'
import { filesOfPlace, readPlace, settingOf } from './secret-text.js'
import { type SecretOwner, WatchedSecret } from './watched-secret.js'

type HeaderConfig = Exclude<CredentialsConfig, { readonly type: 'client_certificate' | 'aws' }>

const NO_TLS_OPTIONS: ConnectionOptions = {}
const MAX_VALUE_CHARS = 16 * 1024
/** All that a header's value may have, one character a byte. */
const VALUE = /^[\x20-\x7e\x80-\xff]+$/

/** Credentials that are one header of each request. */
export class HeaderCredentials implements EdgeCredentials {
  private constructor(private readonly change: WatchedSecret<HeadChange>) {}

  /** Does not reject: while there is no secret, requests are refused. */
  static async open(config: HeaderConfig, owner: SecretOwner): Promise<HeaderCredentials> {
    const { place, type } = config
    const name = config.type === 'header' ? config.header : 'Authorization'
    const removed = new Set([name.toLowerCase().replaceAll('_', '-')])
    const change = await WatchedSecret.open<HeadChange>({
      ...owner,
      name: settingOf(place),
      files: filesOfPlace(place, SECRET_KEYS[type]),
      read: async () => {
        const texts = await readPlace(place, SECRET_KEYS[type])
        return { removed, added: [name, headerValue(type, texts.map(withoutLineEnd), settingOf(place))] }
      }
    })
    return new HeaderCredentials(change)
  }

  changeFor(): HeadChange {
    return this.change.value
  }

  tls(): ConnectionOptions {
    return NO_TLS_OPTIONS
  }

  async refused(change: HeadChange): Promise<boolean> {
    await this.change.lookSoon()
    return this.change.value !== change
  }

  close(): void {
    this.change.close()
  }
}

/** @throws {Error} that names the setting, for a text that is no such secret */
function headerValue(type: HeaderConfig['type'], texts: readonly string[], setting: string): string {
  const value = type === 'basic' ? basicValue(texts, setting) : tokenValue(type, texts, setting)
  if (value.length > MAX_VALUE_CHARS) throw new Error(`${setting}: the secret has more than ${MAX_VALUE_CHARS} bytes`)
  return value
}

function tokenValue(type: HeaderConfig['type'], [text = '']: readonly string[], setting: string): string {
  const secret = Buffer.from(text).toString('latin1').trim()
  if (secret === '') throw new Error(`${setting}: it is empty`)
  if (!VALUE.test(secret)) throw new Error(`${setting}: the secret is more than one line, or has control characters`)
  const scheme = type === 'bearer' ? 'Bearer ' : type === 'token' ? 'Token ' : ''
  return scheme + secret
}

/** `user:password`, or both on their own (RFC 7617). */
function basicValue(texts: readonly string[], setting: string): string {
  const [first = '', password] = texts
  const colon = first.indexOf(':')
  if (password === undefined ? colon < 1 : colon !== -1 || first === '') {
    const expected = password === undefined ? 'expected user:password' : 'a user name has no colon, and is not empty'
    throw new Error(`${setting}: ${expected}`)
  }
  const pair = password === undefined ? first : `${first}:${password}`
  if (/\p{Cc}/u.test(pair)) throw new Error(`${setting}: the secret is more than one line, or has control characters`)
  return `Basic ${Buffer.from(pair).toString('base64')}`
}

function withoutLineEnd(text: string): string {
  return text.replace(/\r?\n$/, '')
}
