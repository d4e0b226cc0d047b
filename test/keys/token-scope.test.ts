import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatClientToken, parseClientTokens } from '../../src/keys/tokens/client-token-rules.js'
import {
  formatTokenScope,
  isAdministrator,
  mayCall,
  mayRegister,
  parseTokenScope,
  type TokenScope
} from '../../src/keys/tokens/token-scope.js'

const KEY_CHARACTERS = [...'abcXYZ019_-']
const keyText = (minLength: number) =>
  fc.array(fc.constantFrom(...KEY_CHARACTERS), { minLength, maxLength: 20 }).map(letters => letters.join(''))
const key = keyText(1).filter(text => !['clients', 'register', 'links'].includes(text))
const pattern = fc.oneof(
  key,
  keyText(0).map(text => `${text}*`)
)
const scope: fc.Arbitrary<TokenScope> = fc.oneof(
  fc.record({ kind: fc.constantFrom('register' as const, 'call' as const), key: pattern }, { noNullPrototype: true }),
  fc.constant<TokenScope>({ kind: 'admin' })
)

test('a scope reads back as it was written, and so does its line', () => {
  const hash = fc.array(fc.constantFrom(...'0123456789abcdef'), { minLength: 64, maxLength: 64 })
  fc.assert(
    fc.property(scope, hash, (written, digits) => {
      assert.deepEqual(parseTokenScope(formatTokenScope(written)), written)
      const rule = { scope: written, hash: digits.join('') }
      assert.deepEqual(parseClientTokens(`# x\n ${formatClientToken(rule)} \n`), [rule])
    })
  )
})

test('any text is a scope that is written so, or none', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        pattern.map(text => `call:${text}`)
      ),
      text => {
        const read = parseTokenScope(text)
        if (read !== undefined) assert.equal(formatTokenScope(read), text)
      }
    )
  )
  for (const text of [
    '',
    'call',
    'call:',
    'call:a:b',
    'call:a*b',
    'call:**',
    'call:a b',
    'Admin',
    'admin:',
    'register:links'
  ]) {
    assert.equal(parseTokenScope(text), undefined, text)
  }
})

test('a key is covered by itself, by its beginnings with *, and by nothing else', () => {
  fc.assert(
    fc.property(key, key, (one, other) => {
      for (const kind of ['call', 'register'] as const) {
        const may = kind === 'call' ? mayCall : mayRegister
        const mayNot = kind === 'call' ? mayRegister : mayCall
        assert.equal(may([{ kind, key: other }], one), one === other)
        assert.equal(may([{ kind, key: `${other}*` }], one), one.startsWith(other))
        assert.ok(may([{ kind, key: '*' }], one))
        assert.ok(!mayNot([{ kind, key: '*' }], one))
        assert.ok(
          may(
            [
              { kind, key: other },
              { kind, key: one }
            ],
            one
          )
        )
      }
    })
  )
})

test('an administrator calls every service, and registers none', () => {
  fc.assert(
    fc.property(key, fc.array(scope), (one, scopes) => {
      const all = [...scopes, { kind: 'admin' } as const]
      assert.ok(mayCall(all, one))
      assert.equal(mayRegister(all, one), mayRegister(scopes, one))
      assert.equal(
        isAdministrator(scopes),
        scopes.some(({ kind }) => kind === 'admin')
      )
    })
  )
})
