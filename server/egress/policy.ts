/** One decision of the egress policy, as the ledger records it. */
export interface EgressDecision {
  readonly host: string
  readonly port: number
  readonly via: 'connect' | 'http'
  readonly allowed: boolean
  /** The entry that allowed it, or the name of the rule that refused it. */
  readonly rule: string
  readonly reason?: string
  /** The address that was dialled. */
  readonly address?: string
}
