import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const CALL = /\b(?:logger|refusals|limited)\.(warn|error|fatal)\(/g
const STRING = /'((?:[^'\\]|\\.)*)'|`((?:[^`\\]|\\.)*)`/g

/** The text of a call's arguments: up to the parenthesis that ends it. */
function argumentsAt(text: string, start: number): string {
  let depth = 1
  for (let at = start; at < text.length; at++) {
    const char = text[at] ?? ''
    if (char === "'" || char === '`') at = text.indexOf(char, at + 1)
    else if ('([{'.includes(char)) depth += 1
    else if (')]}'.includes(char)) depth -= 1
    if (depth === 0) return text.slice(start, at)
  }
  throw new Error(`a call without an end: ${text.slice(start, start + 80)}`)
}

/** What stands behind the last comma outside of brackets and strings. */
function lastArgument(args: string): string {
  let depth = 0
  let begin = 0
  for (let at = 0; at < args.length; at++) {
    const char = args[at] ?? ''
    if (char === "'" || char === '`') at = args.indexOf(char, at + 1)
    else if ('([{'.includes(char)) depth += 1
    else if (')]}'.includes(char)) depth -= 1
    else if (char === ',' && depth === 0) begin = at + 1
  }
  return args.slice(begin)
}

/** `warn text` and `error text` of each message that the code writes in full; values in it are `…`. */
function messagesOfCode(): Set<string> {
  const files = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
  const found = files
    .filter(file => file.endsWith('.ts'))
    .flatMap(file => {
      const text = readFileSync(join(ROOT, 'src', file), 'utf8')
      return [...text.matchAll(CALL)].flatMap(({ 0: call, 1: level, index }) => {
        const message = lastArgument(argumentsAt(text, index + call.length))
        return [...message.matchAll(STRING)].map(([, plain, template = '']) => {
          return `${level} ${(plain ?? template).replace(/\$\{[^}]*\}/g, '…')}`
        })
      })
    })
  return new Set(found)
}

test('docs/log-messages.md has each message that is logged as a warning or an error, and no other', () => {
  const page = readFileSync(join(ROOT, 'docs/log-messages.md'), 'utf8')
  const rows = [...page.matchAll(/^\| `([^`]+)` \| (warn|error|fatal) \|/gm)]
  const documented = rows.map(([, message, level]) => `${level} ${message}`)
  const logged = messagesOfCode()
  assert.ok(logged.size > 50, `${logged.size} messages are found`)
  assert.deepEqual(
    [...logged].filter(message => !documented.includes(message)),
    [],
    'docs/log-messages.md lacks a row for these'
  )
  assert.deepEqual(
    documented.filter(message => !logged.has(message)),
    [],
    'docs/log-messages.md has rows that nothing logs'
  )
  assert.equal(new Set(documented).size, documented.length)
})
