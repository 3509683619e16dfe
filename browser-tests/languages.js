// The languages that are built in.

export const LANGUAGES = ["en", "de", "fr", "es", "it", "pt-BR", "nl", "pl", "tr", "ja", "zh-Hans", "ar", "he", "hi"];
export const RIGHT_TO_LEFT = ["ar", "he"];
