import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { signAwsRequest } from '../../../src/services/aws/aws-signature.js'
import { readAwsTarget } from '../../../src/services/aws/aws-target.js'
import { fieldValues } from '../../../src/services/http1/fields.js'

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

// Amazon S3 API Reference, "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)", Examples.
const S3 = {
  keys: { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' },
  scope: { region: 'us-east-1', service: 's3' },
  host: 'examplebucket.s3.amazonaws.com',
  at: new Date('2013-05-24T00:00:00Z')
}
// The test suite of Signature Version 4 (aws-sig-v4-test-suite).
const SUITE = {
  keys: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' },
  scope: { region: 'us-east-1', service: 'service' },
  host: 'example.amazonaws.com',
  at: new Date('2015-08-30T12:36:00Z')
}

interface Vector {
  readonly name: string
  readonly of: typeof S3
  readonly method?: string
  readonly target: string
  readonly fields?: readonly string[]
  readonly body?: string
  readonly signature: string
}

const FORM = ['Content-Type', 'application/x-www-form-urlencoded']

const VECTORS: readonly Vector[] = [
  {
    name: 'GET Bucket Lifecycle of S3',
    of: S3,
    target: '/?lifecycle',
    signature: 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543'
  },
  {
    name: 'Get Bucket (List Objects) of S3',
    of: S3,
    target: '/?max-keys=2&prefix=J',
    signature: '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7'
  },
  {
    name: 'get-vanilla',
    of: SUITE,
    target: '/',
    signature: '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31'
  },
  {
    name: 'get-vanilla-query-order-key-case',
    of: SUITE,
    target: '/?Param2=value2&Param1=value1',
    signature: 'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500'
  },
  {
    name: 'post-vanilla',
    of: SUITE,
    method: 'POST',
    target: '/',
    signature: '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b'
  },
  {
    name: 'post-x-www-form-urlencoded',
    of: SUITE,
    method: 'POST',
    target: '/',
    fields: FORM,
    body: 'Param1=value1',
    signature: 'ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a'
  }
]

for (const { name, of, method = 'GET', target, fields = [], body = '', signature } of VECTORS) {
  test(`the published example ${name} has its published signature`, async () => {
    const request = { method, target: readAwsTarget(target), host: of.host, fields, payload: sha256(body) }
    const added = await signAwsRequest(request, of.keys, of.scope, of.at)
    assert.match(fieldValues(added, 'authorization').join(), new RegExp(`Signature=${signature}$`))
  })
}

test('a session token is sent and signed, and the hash of the body for S3 alone', async () => {
  const keys = { ...SUITE.keys, sessionToken: 'token' }
  const request = { method: 'GET', target: readAwsTarget('/'), host: SUITE.host, fields: [], payload: sha256('') }
  const other = await signAwsRequest(request, keys, SUITE.scope, SUITE.at)
  assert.deepEqual(fieldValues(other, 'x-amz-security-token'), ['token'])
  assert.match(fieldValues(other, 'authorization').join(), /SignedHeaders=host;x-amz-date;x-amz-security-token,/)
  const s3 = await signAwsRequest(request, keys, S3.scope, S3.at)
  assert.deepEqual(fieldValues(s3, 'x-amz-content-sha256'), [sha256('')])
  assert.match(fieldValues(s3, 'authorization').join(), /host;x-amz-content-sha256;x-amz-date;x-amz-security-token,/)
})

test('what AWS demands is signed, and what a proxy may change is not', async () => {
  const fields = [
    'Range',
    'bytes=0-9',
    'X-Amz-Target',
    'a.B',
    'x-amz-meta-a',
    '1',
    'X-Amz-Meta-A',
    '2',
    'X-Forwarded-For',
    'b',
    'Content-MD5',
    'c'
  ]
  const request = { method: 'GET', target: readAwsTarget('/'), host: SUITE.host, fields, payload: sha256('') }
  const added = await signAwsRequest(request, SUITE.keys, SUITE.scope, SUITE.at)
  assert.match(
    fieldValues(added, 'authorization').join(),
    /SignedHeaders=content-md5;host;x-amz-date;x-amz-meta-a;x-amz-target,/
  )
})
