/** What help can be asked on besides commands and rules. */
export const TOPIC_NAMES = [
  "all",
  "numbers",
  "times",
  "data",
  "region",
  "exit-codes",
  "environment",
  "host",
  "script",
  "json",
] as const;
export type TopicName = (typeof TOPIC_NAMES)[number];
