/**
 * Completions for bash, zsh and fish. Each script is small and asks the program, so that all of them, and TAB in the
 * shell, answer alike; it costs one start of the program for each TAB.
 */

import { COMPLETE_CALL } from "./call.ts";

/** The shells that there is a script for. */
export const SHELLS = ["bash", "zsh", "fish"] as const;
export type ShellName = (typeof SHELLS)[number];

const BASH =
  `# Completion of ism for bash; source it, or put it into ~/.local/share/bash-completion/completions/ism
_ism() {
  local line=\${COMP_LINE:0:COMP_POINT} word breaks before='' candidate kind help
  # Bash splits words at : and = too, and replaces what is behind the last one only.
  word=\${line##*[[:space:]]}
  breaks=\${COMP_WORDBREAKS//[^:=@]/}
  [[ -n $breaks && $word == *["$breaks"]* ]] && before=\${word%"\${word##*["$breaks"]}"}
  COMPREPLY=()
  while IFS=$'\\t' read -r candidate kind help; do
    [[ $kind == whole ]] && candidate+=' '
    COMPREPLY+=("\${candidate#"$before"}")
  done < <("$1" ${COMPLETE_CALL} bash "$line" 2>/dev/null)
}
complete -o nospace -F _ism ism
`;

const ZSH = `#compdef ism
# Completion of ism for zsh; source it behind compinit, or put it as _ism into a directory of $fpath
_ism() {
  local -a whole whole_shown open open_shown
  local line word kind help
  local -a begun=("\${(@)words[1,CURRENT-1]}")
  while IFS=$'\\t' read -r word kind help; do
    [[ -n $help ]] && help="\${(r:20:)word} $help" || help=$word
    if [[ $kind == whole ]]; then
      whole+=("$word") whole_shown+=("$help")
    else
      open+=("$word") open_shown+=("$help")
    fi
  done < <(\${~words[1]} ${COMPLETE_CALL} zsh "\${(j: :)begun} $PREFIX" 2>/dev/null)
  (( $#whole )) && compadd -l -U -Q -d whole_shown -a -- whole
  (( $#open )) && compadd -l -U -Q -S '' -d open_shown -a -- open
  (( $#whole + $#open ))
}
if [[ $funcstack[1] == _ism ]]; then _ism "$@"; else compdef _ism ism; fi
`;

const FISH = `# Completion of ism for fish; source it, or put it into ~/.config/fish/completions/ism.fish
function __ism_complete
    set -l words (commandline -opc)
    $words[1] ${COMPLETE_CALL} fish (commandline -cp | string collect) 2>/dev/null
end
complete -c ism -f -a '(__ism_complete)'
`;

const SCRIPTS: Readonly<Record<ShellName, string>> = { bash: BASH, zsh: ZSH, fish: FISH };

/** The script for a shell. */
export function completionScript(shell: ShellName): string {
  return SCRIPTS[shell];
}
