/** The names of the error codes of HTTP/2, by the codes (RFC 9113, 7). */
const NAMES = [
  ...['NO_ERROR', 'PROTOCOL_ERROR', 'INTERNAL_ERROR', 'FLOW_CONTROL_ERROR', 'SETTINGS_TIMEOUT', 'STREAM_CLOSED'],
  ...['FRAME_SIZE_ERROR', 'REFUSED_STREAM', 'CANCEL', 'COMPRESSION_ERROR', 'CONNECT_ERROR', 'ENHANCE_YOUR_CALM'],
  ...['INADEQUATE_SECURITY', 'HTTP_1_1_REQUIRED']
]

/** The name of an error code of HTTP/2, for messages. */
export function errorCodeName(code: number): string {
  return NAMES[code] ?? `code ${code}`
}
