# Completes command lines of crackexp in fish: crackexp --completion fish | source
function __crackexp_complete
    set -l words (commandline -opc)
    set -l program (string replace -r '^~' $HOME -- $words[1])
    set -e words[1]
    set -l word (commandline -ct)
    set -l found ($program --complete $words "$word" 2> /dev/null)
    if test -n "$found"
        printf '%s\n' $found
    else if string match -q '*=*' -- "$word"
        set -l parts (string split -m 1 = -- "$word")
        printf "$parts[1]=%s\n" (__fish_complete_path "$parts[2]")
    else
        __fish_complete_path "$word"
    end
end
complete -c crackexp -f -a '(__crackexp_complete)'
