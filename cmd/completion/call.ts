/** First argument of the call that the completion scripts make; no command, as nobody types it: `__complete SHELL LINE`. */
export const COMPLETE_CALL = "__complete";
