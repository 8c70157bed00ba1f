/** Before `npm pack`: what is packed is what the sources say now, also in a fresh clone. */
import { bringUp, main } from './bring-up.mjs'

main(() => void bringUp({ sandbox: false }))
