import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { importJWK, type JWK, jwtVerify, SignJWT } from 'jose'
import {
  isSignedBy,
  MAX_SIGNED_TOKEN_LENGTH,
  readClaims,
  readSignedToken,
  signToken
} from '../../src/keys/tokens/signed-token.js'
import {
  formatTokenSigner,
  makeTokenKey,
  parseTokenSigner,
  TOKEN_ALGORITHMS,
  type TokenAlgorithm,
  type TokenSigner,
  tokenKeyOf,
  treeAudience
} from '../../src/keys/tokens/token-key.js'
import { parseTokenScope, type TokenScope } from '../../src/keys/tokens/token-scope.js'

const AUDIENCE = treeAudience(Buffer.from('a certificate'))
const NOW_MS = Date.now()
const ID = 'an-id-of-a-token-of-ours'

function signerOf(algorithm: TokenAlgorithm): TokenSigner {
  const privateKey = makeTokenKey(algorithm)
  return { key: tokenKeyOf(createPublicKey(privateKey)), privateKey, audience: AUDIENCE }
}

const scopesOf = (...texts: string[]): TokenScope[] => texts.flatMap(text => parseTokenScope(text) ?? [])

function sign(signer: TokenSigner, scopes = scopesOf('call:git', 'register:ci-*')): string {
  return signToken(signer, { id: ID, scopes, nowMs: NOW_MS, untilMs: NOW_MS + 60_000 })
}

/** Whether a token counts for one of the key's. */
function isGood(text: string, { key }: TokenSigner): boolean {
  const unproved = readSignedToken(text)
  return unproved !== undefined && isSignedBy(unproved, key)
}

const encode = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

/** The claims of a payload, as JSON text. */
const claimsIn = (json: string) => readClaims({ payload: Buffer.from(json) })

for (const algorithm of TOKEN_ALGORITHMS) {
  test(`a token that ${algorithm} signed has the claims that were given`, () => {
    const signer = signerOf(algorithm)
    const unproved = readSignedToken(sign(signer))
    assert.ok(unproved !== undefined && isSignedBy(unproved, signer.key))
    const seconds = Math.floor(NOW_MS / 1_000)
    assert.deepEqual(readClaims(unproved), {
      id: ID,
      audiences: [AUDIENCE],
      scopes: scopesOf('call:git', 'register:ci-*'),
      fromMs: seconds * 1_000,
      untilMs: (seconds + 60) * 1_000
    })
    assert.ok(!isSignedBy(unproved, signerOf(algorithm).key))
  })

  test(`tokens of ${algorithm} are read by another library, and those of the other library here`, async () => {
    const signer = signerOf(algorithm)
    const jwk = JSON.parse(formatTokenSigner(signer)) as JWK
    const { d: _secret, ...publicPart } = jwk
    const publicKey = await importJWK(publicPart, algorithm)
    const { payload, protectedHeader } = await jwtVerify(sign(signer), publicKey, { audience: AUDIENCE })
    assert.equal(payload.scope, 'call:git register:ci-*')
    assert.equal(protectedHeader.kid, signer.key.id)
    const theirs = await new SignJWT({ scope: 'call:git' })
      .setProtectedHeader({ alg: algorithm, kid: signer.key.id })
      .setJti(ID)
      .setAudience([AUDIENCE, 'another'])
      .setIssuedAt()
      .setExpirationTime('1h')
      .sign(await importJWK(jwk, algorithm))
    const unproved = readSignedToken(theirs)
    assert.ok(unproved !== undefined && isSignedBy(unproved, signer.key))
    const claims = readClaims(unproved)
    assert.ok(typeof claims === 'object')
    assert.deepEqual([claims.audiences, claims.scopes], [[AUDIENCE, 'another'], scopesOf('call:git')])
  })

  test(`the file of a key of ${algorithm} holds what a signer needs`, () => {
    const signer = signerOf(algorithm)
    const again = parseTokenSigner(formatTokenSigner(signer))
    assert.deepEqual([again.key.id, again.audience], [signer.key.id, AUDIENCE])
    assert.ok(isGood(sign(again), signer))
  })
}

test('a head that another key or algorithm could be chosen by makes a token nobody’s', async () => {
  const signer = signerOf('ES256')
  const { key, privateKey } = signer
  const [, payload = '', signature = ''] = sign(signer).split('.')
  const good = { alg: 'ES256', kid: key.id, typ: 'JWT' }
  const pem = String(key.publicKey.export({ type: 'spki', format: 'pem' }))
  const symmetric = await new SignJWT({ jti: ID })
    .setProtectedHeader({ alg: 'HS256', kid: key.id })
    .sign(Buffer.from(pem))
  assert.ok(!isGood(symmetric, signer), 'signed with the public key as a secret')
  for (const head of [
    { ...good, alg: 'none' },
    { ...good, alg: 'None' },
    { ...good, alg: 'HS256' },
    { ...good, alg: 'RS256' },
    { ...good, alg: 'EdDSA' },
    { ...good, alg: 'es256' },
    { ...good, alg: ['ES256'] },
    { ...good, kid: undefined },
    { ...good, kid: signerOf('ES256').key.id },
    { ...good, kid: '../../etc/passwd' },
    { ...good, kid: [key.id] },
    { ...good, crit: ['b64'], b64: false },
    { ...good, typ: 'JOSE' },
    'no JSON',
    [good]
  ]) {
    assert.ok(!isGood(`${encode(head)}.${payload}.${signature}`, signer), JSON.stringify(head))
    assert.ok(!isGood(`${encode(head)}.${payload}.`, signer))
  }
  const { d: _d, ...own } = privateKey.export({ format: 'jwk' })
  const { publicKey: other } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  for (const more of [{ jwk: own }, { jwk: other.export({ format: 'jwk' }) }, { jku: 'https://evil.example' }]) {
    const forged = `${encode({ ...good, ...more })}.${payload}.${signature}`
    assert.ok(!isGood(forged, signer), 'the signature is over the head')
  }
})

test('a token that is changed anywhere, in whatever spelling, is nobody’s', () => {
  for (const algorithm of TOKEN_ALGORITHMS) {
    const signer = signerOf(algorithm)
    const token = sign(signer)
    assert.ok(isGood(token, signer))
    fc.assert(
      fc.property(fc.nat(token.length), fc.string({ maxLength: 2 }), (at, other) => {
        const changed = token.slice(0, at) + other + token.slice(at + 1)
        assert.equal(isGood(changed, signer), changed === token)
      })
    )
    for (const changed of [`${token}=`, `${token}.`, ` ${token}`, `${token}\n`, token.replaceAll('.', '..')]) {
      assert.ok(!isGood(changed, signer), changed)
    }
  }
})

test('an ES256 signature in DER, of other numbers, or of none is none', () => {
  const signer = signerOf('ES256')
  const [head, payload] = sign(signer).split('.')
  const n = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex')
  for (const bytes of [
    Buffer.alloc(64),
    Buffer.concat([n, n]),
    Buffer.from([0x30, 6, 2, 1, 1, 2, 1, 1]),
    Buffer.alloc(1)
  ]) {
    assert.ok(!isGood(`${head}.${payload}.${bytes.toString('base64url')}`, signer))
  }
})

test('claims without a sound id, end or beginning give no right', () => {
  const good = { jti: ID, aud: AUDIENCE, exp: 2_000_000_000 }
  const json = (claims: object) => JSON.stringify({ ...good, ...claims })
  for (const [claims, reason] of [
    ['[]', /no JSON object/],
    ['{', /no JSON object/],
    ['null', /no JSON object/],
    [json({ jti: undefined }), /jti/],
    [json({ jti: 'short' }), /jti/],
    [json({ jti: 'ünïcode-in-an-id-of-tokens' }), /jti/],
    [json({ jti: 7 }), /jti/],
    [json({ exp: undefined }), /no end/],
    [json({ exp: null }), /no end/],
    [json({ exp: '2000000000' }), /no end/],
    [json({ exp: -1 }), /no end/],
    [json({ exp: [2_000_000_000] }), /no end/],
    [json({}).replace('2000000000', '1e400'), /no end/],
    [json({}).replace('2000000000', '1e300'), /no end/],
    [json({}).replace('2000000000', 'NaN'), /no JSON object/],
    [json({ nbf: 'soon' }), /nbf or iat/],
    [json({ iat: -1 }), /nbf or iat/],
    [json({ scope: ['call:git'] }), /scope is no text/],
    [json({ scope: 'call:a '.repeat(65) }), /more than 64 scopes/]
  ] as const) {
    const claimed = claimsIn(claims)
    assert.ok(typeof claimed === 'string', claims)
    assert.match(claimed, reason)
  }
})

test('times may have fractions, and the later one of nbf and iat counts', () => {
  const claims = claimsIn(JSON.stringify({ jti: ID, exp: 2_000_000_000.5, nbf: 5, iat: 7.25 }))
  assert.ok(typeof claims === 'object')
  assert.deepEqual([claims.untilMs, claims.fromMs, claims.audiences], [2_000_000_000_500, 7_250, []])
})

test('of a claim that is there twice, the last one counts', () => {
  const claims = claimsIn(`{"jti":"${ID}","exp":2000000000,"scope":"admin","aud":"a","scope":"call:git","aud":"b"}`)
  assert.ok(typeof claims === 'object')
  assert.deepEqual([claims.scopes, claims.audiences], [scopesOf('call:git'), ['b']])
})

test('scopes that are none of ours give no right, whatever they look like', () => {
  const scope = 'openid call:g\u0456t call:git\u200b \u00a0admin Admin admin\tx call: register:../x call:a:b CALL:git'
  const claims = claimsIn(JSON.stringify({ jti: ID, exp: 2_000_000_000, scope }))
  assert.ok(typeof claims === 'object')
  assert.deepEqual(claims.scopes, [])
})

test('whatever text comes, none is taken for a signed token but one in its form', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(fc.base64String(), { maxLength: 4 }).map(parts => parts.join('.'))
      ),
      text => {
        assert.equal(readSignedToken(text), undefined)
      }
    )
  )
  const signer = signerOf('EdDSA')
  const long = sign(signer).replace('.', `${'A'.repeat(MAX_SIGNED_TOKEN_LENGTH)}.`)
  assert.equal(readSignedToken(long), undefined)
})

test('a token that relays would not look at is not made', () => {
  const many = Array.from({ length: 65 }, (_, at) => parseTokenScope(`call:k${at}`)).filter(
    scope => scope !== undefined
  )
  const long = Array.from({ length: 30 }, (_, at) => parseTokenScope(`call:${'k'.repeat(120)}${at}`))
  for (const scopes of [many, long.filter(scope => scope !== undefined)]) {
    assert.throws(() => sign(signerOf('EdDSA'), scopes), /64 scopes and 4096 characters at most/)
  }
})

test('a file of a key that is damaged, or of another kind, is refused without telling what is in it', () => {
  const text = formatTokenSigner(signerOf('ES256'))
  const jwk = JSON.parse(text) as Record<string, unknown>
  const secret = String(jwk.d)
  const other = createPrivateKey(generateKeyPairSync('ed448').privateKey.export({ type: 'pkcs8', format: 'pem' }))
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey
  const { d: _d, ...publicPart } = jwk
  for (const [file, reason] of [
    ['', /no JSON/],
    ['7', /no JWK/],
    [JSON.stringify({ ...jwk, aud: undefined }), /does not name its tree/],
    [JSON.stringify({ ...jwk, kid: 'other' }), /thumbprint/],
    [JSON.stringify(publicPart), /no private key/],
    [JSON.stringify({ ...other.export({ format: 'jwk' }), aud: AUDIENCE }), /Ed25519, or EC on P-256/],
    [JSON.stringify({ ...rsa.export({ format: 'jwk' }), aud: AUDIENCE }), /Ed25519, or EC on P-256/]
  ] as const) {
    assert.throws(
      () => parseTokenSigner(file),
      (error: Error) => reason.test(error.message) && !error.message.includes(secret)
    )
  }
})
