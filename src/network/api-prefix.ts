/** The prefix of the relay API (contract, "URLs"). It answers under other prefixes too. */
export const API_PREFIX = '/rudder/relay-api'
