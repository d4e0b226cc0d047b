import fc from 'fast-check'

/**
 * Texts of all code points, lone surrogates too, mostly from where parsers make a difference. fast-check's own
 * `unit: 'binary'` says the same, and takes a second in each process to prepare.
 */
export function anyText(constraints: { readonly maxLength?: number } = {}): fc.Arbitrary<string> {
  const codePoint = fc.oneof(fc.nat(0x7f), fc.nat(0xff), fc.nat(0xffff), fc.nat(0x10ffff))
  return fc.string({ unit: codePoint.map(code => String.fromCodePoint(code)), ...constraints })
}
