import { createHash, randomBytes } from 'node:crypto'
import { resolve } from 'node:path'
import { appendText } from '../../../file-exchange/places/append-text.js'
import { readTextFile } from '../../../file-system/files/text-file.js'
import { formatClientToken, parseClientTokens } from '../../../keys/tokens/client-token-rules.js'
import { formatTokenScope, parseTokenScope, SCOPE_RULE, type TokenScope } from '../../../keys/tokens/token-scope.js'
import { whyNotRead } from '../../../values/failures/file-failure.js'
import { errorCode, errorMessage } from '../../../values/failures/system-error.js'
import { UsageError } from '../../command-error.js'
import { printJson } from '../../output/table.js'

const TOKEN_BYTES = 32
/** The characters of a token that {@link createScopedToken} makes. */
export const SCOPED_TOKEN_LENGTH = 43

export interface ScopedTokenOptions {
  readonly scope: readonly string[]
  readonly append?: string
  readonly json?: boolean
}

/** Makes a token for clients or callers of services. No relay is asked: it learns of the token by its file. */
export async function createScopedToken({ scope, append, json }: ScopedTokenOptions): Promise<void> {
  const scopes = [...new Set(scope)].map(readScope)
  const token = randomBytes(TOKEN_BYTES).toString('base64url')
  const hash = createHash('sha256').update(token).digest('hex')
  const lines = scopes.map(one => formatClientToken({ scope: one, hash }))
  if (append !== undefined) await appendLines(resolve(append), lines)
  if (json === true) {
    printJson({ token, scopes: scopes.map(formatTokenScope), lines, ...(append === undefined ? {} : { file: append }) })
    return
  }
  console.log(token) // once: nobody can read it from its hash
  if (append === undefined) console.error(`for tokens.clients_file of the relays:\n${lines.join('\n')}`)
  else console.error(`added to ${append}: ${scopes.map(formatTokenScope).join(', ')}`)
}

/** @throws {UsageError} */
export function readScope(text: string): TokenScope {
  const scope = parseTokenScope(text)
  if (scope === undefined) {
    throw new UsageError(`--scope ${JSON.stringify(text.slice(0, 200))}: expected ${SCOPE_RULE}`)
  }
  return scope
}

/** A relay refuses a file with a wrong line, so nothing is added to one. */
async function appendLines(file: string, lines: readonly string[]): Promise<void> {
  const before = await readTextFile(file).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return ''
    throw new UsageError(`--append ${file}: ${whyNotRead(error)}`)
  })
  try {
    parseClientTokens(before)
  } catch (error) {
    throw new UsageError(`--append ${file}: ${errorMessage(error)}; is it the file of tokens.clients_file?`)
  }
  const separator = before === '' || before.endsWith('\n') ? '' : '\n'
  await appendText(file, `${separator}${lines.join('\n')}\n`)
}
