/** The token with which a machine joins a tree; `treeline token create` prints it, and it is secret. */
export interface JoinToken {
  /** Names the token; no secret. */
  readonly id: string
  /** 32 random bytes. */
  readonly secret: Buffer
  /** SHA-256 of the CA's certificate, DER: who the token may be shown to. */
  readonly caHash: Buffer
}

export const TOKEN_ID_LENGTH = 12
const SECRET_LENGTH = 43
const BYTES = 32
const TOKEN_ID = new RegExp(`^[\\w-]{${TOKEN_ID_LENGTH}}$`)
const FORM = new RegExp(`^([\\w-]{${TOKEN_ID_LENGTH}})\\.([\\w-]{${SECRET_LENGTH}})(?:\\.([\\w-]{${SECRET_LENGTH}}))?$`)

/** Whether `text` can name a token. */
export function isTokenId(text: string): boolean {
  return TOKEN_ID.test(text)
}

/** `<id>.<secret>.<sha256>`, base64url. */
export function formatJoinToken({ id, secret, caHash }: JoinToken): string {
  return `${formatTokenProof({ id, secret })}.${caHash.toString('base64url')}`
}

/** The part that a relay is shown: `<id>.<secret>`. */
export function formatTokenProof({ id, secret }: Pick<JoinToken, 'id' | 'secret'>): string {
  return `${id}.${secret.toString('base64url')}`
}

/** @returns undefined when `text` is no whole token */
export function parseJoinToken(text: string): JoinToken | undefined {
  const [, id = '', secretText, hashText] = FORM.exec(text) ?? []
  const secret = bytesOf(secretText)
  const caHash = bytesOf(hashText)
  return secret === undefined || caHash === undefined ? undefined : { id, secret, caHash }
}

/** Reads what {@link formatTokenProof} gives; a CA's hash after it is not looked at. */
export function parseTokenProof(text: string): Pick<JoinToken, 'id' | 'secret'> | undefined {
  const [, id = '', secretText] = FORM.exec(text) ?? []
  const secret = bytesOf(secretText)
  return secret === undefined ? undefined : { id, secret }
}

/** Node decodes leniently: only what encodes to the same text again is taken. */
function bytesOf(text: string | undefined): Buffer | undefined {
  if (text === undefined) return undefined
  const bytes = Buffer.from(text, 'base64url')
  return bytes.length === BYTES && bytes.toString('base64url') === text ? bytes : undefined
}
