; The Windows installer (NSIS 3.08 or newer). build_installer.py runs this and gives the names below.
;
; For one user it needs no administrator; for all users it starts itself again and Windows asks.
; Silent:  setup.exe /S [/CurrentUser | /AllUsers] [/D=C:\where\to]   (/D last, without quotes)
; Exit codes: 0 done, 1 cancelled, and Windows' own numbers for what was in the way (below).
!ifndef VERSION | NUMBERS | FILES | REMOVALS | ICON | SIDE | SIZE_KB | OUT
  !error "run packaging/windows/build_installer.py: it knows the version, the files and their list"
!endif

Unicode true
SetCompressor /SOLID lzma
SetCompressorDictSize 32
ManifestDPIAware true
ManifestSupportedOS Win10
RequestExecutionLevel user
AllowSkipFiles off

!define NAME "Mechanoscope"
!define PUBLISHER "The Mechanoscope authors"
!define PROGRAM "mechanoscope.exe"
!define PROGID "Mechanoscope.Session"
!define SUFFIX ".mscope"
!define CLASSES "Software\Classes"
!define CAPABILITIES "Software\${NAME}\Capabilities"
!define UNINSTALL "Software\Microsoft\Windows\CurrentVersion\Uninstall\${NAME}"
!define APP_PATH "Software\Microsoft\Windows\CurrentVersion\App Paths\${PROGRAM}"
; Exit codes.
!define IN_USE 32           ; the program is open
!define NOT_ADMIN 740       ; an administrator's rights are needed
!define OLD_WINDOWS 1150    ; this Windows is too old, or has 32 bits
!define NOT_REMOVED 1603    ; the older version would not go

!include MUI2.nsh
!include LogicLib.nsh
!include nsDialogs.nsh
!include FileFunc.nsh
!include WinVer.nsh
!include x64.nsh

Name "${NAME}"
OutFile "${OUT}"
BrandingText "${NAME} ${VERSION}"
VIProductVersion "${NUMBERS}"
VIFileVersion "${NUMBERS}"
VIAddVersionKey "ProductName" "${NAME}"
VIAddVersionKey "ProductVersion" "${VERSION}"
VIAddVersionKey "FileVersion" "${VERSION}"
VIAddVersionKey "FileDescription" "${NAME} ${VERSION} setup"
VIAddVersionKey "CompanyName" "${PUBLISHER}"
VIAddVersionKey "LegalCopyright" "${PUBLISHER}. MIT licence."

Var ForAll      ; "1": for all users of this computer
Var Chosen      ; "1": the command line has said for whom, so nothing is asked
Var ChoiceAll   ; the page's lower button

!define MUI_ICON "${ICON}"
!define MUI_UNICON "${ICON}"
!define MUI_ABORTWARNING
!define MUI_WELCOMEFINISHPAGE_BITMAP "${SIDE}"
!define MUI_WELCOMEFINISHPAGE_BITMAP_STRETCH AspectFitHeight
!define MUI_UNWELCOMEFINISHPAGE_BITMAP "${SIDE}"
!define MUI_UNWELCOMEFINISHPAGE_BITMAP_STRETCH AspectFitHeight
!define MUI_WELCOMEPAGE_TITLE "${NAME} ${VERSION}"
!define MUI_WELCOMEPAGE_TEXT "Open a neural network and read it.$\n$\nThis sets up ${NAME} with all it needs, Python included. It is free software under the MIT licence; the licences of the libraries that come with it are in its folder and in Help > About.$\n$\nPress Next to go on."
!define MUI_COMPONENTSPAGE_SMALLDESC
!define MUI_COMPONENTSPAGE_TEXT_TOP "Choose how ${NAME} fits into Windows."
!define MUI_COMPONENTSPAGE_TEXT_COMPLIST "What to set up:"
!define MUI_FINISHPAGE_RUN
!define MUI_FINISHPAGE_RUN_FUNCTION start_program
!define MUI_UNCONFIRMPAGE_TEXT_TOP "${NAME} will be removed from this folder. Your sessions, models and settings stay where they are."

!insertmacro MUI_PAGE_WELCOME
Page custom ask_for_whom answer_for_whom
!insertmacro MUI_PAGE_COMPONENTS
!insertmacro MUI_PAGE_DIRECTORY
!insertmacro MUI_PAGE_INSTFILES
!insertmacro MUI_PAGE_FINISH
!insertmacro MUI_UNPAGE_CONFIRM
!insertmacro MUI_UNPAGE_INSTFILES
!insertmacro MUI_LANGUAGE "English"

; --- for whom ---------------------------------------------------------------------------------------

; Where things are written from here on: the registry's and the start menu's half of one or of all.
!macro settle un
Function ${un}settle
  SetRegView 64
  ${If} $ForAll == "1"
    SetShellVarContext all
  ${Else}
    SetShellVarContext current
  ${EndIf}
FunctionEnd

; Leaves "1" on the stack where this process may write for all users.
Function ${un}is_admin
  Push $0
  UserInfo::GetAccountType
  Pop $0
  ${If} $0 == "Admin"
    StrCpy $0 "1"
  ${Else}
    StrCpy $0 "0"
  ${EndIf}
  Exch $0
FunctionEnd

; A program that runs cannot be opened for writing. Asks to close it, as often as needed.
Function ${un}wait_until_closed
  Push $0
  again:
  IfFileExists "$INSTDIR\${PROGRAM}" 0 closed
  ClearErrors
  FileOpen $0 "$INSTDIR\${PROGRAM}" a
  IfErrors 0 free
  MessageBox MB_RETRYCANCEL|MB_ICONINFORMATION "${NAME} is open, so its files cannot be replaced or removed.$\n$\nSave your work there, close its window, and press Retry." /SD IDCANCEL IDRETRY again
  SetErrorLevel ${IN_USE}
  Quit
  free:
  FileClose $0
  closed:
  Pop $0
FunctionEnd
!macroend
!insertmacro settle ""
!insertmacro settle "un."

; Where it goes: where it already is, or else the usual place; what /D= says wins.
Function choose_folder
  Push $0
  ReadRegStr $0 SHCTX "${UNINSTALL}" "InstallLocation"
  ${If} $0 != ""
    StrCpy $INSTDIR $0
  ${ElseIf} $ForAll == "1"
    StrCpy $INSTDIR "$PROGRAMFILES64\${NAME}"
  ${Else}
    StrCpy $INSTDIR "$LOCALAPPDATA\Programs\${NAME}"
  ${EndIf}
  Pop $0
FunctionEnd

Function ask_for_whom
  ${If} $Chosen == "1"
    Abort
  ${EndIf}
  !insertmacro MUI_HEADER_TEXT "For whom?" "Choose who can use ${NAME} on this computer."
  nsDialogs::Create 1018
  Pop $0
  ${NSD_CreateRadioButton} 0 10u 100% 12u "Only for &me"
  Pop $1
  ${NSD_CreateLabel} 12u 23u 95% 20u "Needs no administrator."
  Pop $2
  ${NSD_CreateRadioButton} 0 48u 100% 12u "For &all users of this computer"
  Pop $ChoiceAll
  ${NSD_CreateLabel} 12u 61u 95% 20u "Windows will ask for an administrator's permission."
  Pop $2
  ${If} $ForAll == "1"
    ${NSD_Check} $ChoiceAll
  ${Else}
    ${NSD_Check} $1
  ${EndIf}
  nsDialogs::Show
FunctionEnd

Function answer_for_whom
  StrCpy $1 $ForAll
  StrCpy $ForAll "0"
  ${NSD_GetState} $ChoiceAll $0
  ${If} $0 == ${BST_CHECKED}
    StrCpy $ForAll "1"
    Call is_admin
    Pop $0
    ${If} $0 != "1"
      ; The same setup again, with the rights it needs; where that is refused, the question stays.
      ClearErrors
      ExecShell "runas" "$EXEPATH" "/AllUsers"
      ${IfNot} ${Errors}
        Quit
      ${EndIf}
      StrCpy $ForAll "0"
      Abort
    ${EndIf}
  ${EndIf}
  ${If} $1 != $ForAll
    Call settle
    Call choose_folder
    Call remember_choices
  ${EndIf}
FunctionEnd

; --- what is installed ------------------------------------------------------------------------------

; An older version takes its own files away; it knows their list. Then nothing of it is left behind.
Function remove_older
  Push $0
  Push $1
  ReadRegStr $0 SHCTX "${UNINSTALL}" "InstallLocation"
  ${If} $0 != ""
  ${AndIf} ${FileExists} "$0\uninstall.exe"
    DetailPrint "Removing the version that is installed ..."
    ; _?= lets it work in place, so that this waits for its end.
    ClearErrors
    ExecWait '"$0\uninstall.exe" /S _?=$0' $1
    ${If} ${Errors}
    ${OrIf} $1 != 0
      MessageBox MB_OK|MB_ICONSTOP "The installed version in $0 could not be removed (code $1). Close ${NAME}, or remove it in Windows' settings, and start this setup again." /SD IDOK
      SetErrorLevel ${NOT_REMOVED}
      Quit
    ${EndIf}
    Delete "$0\uninstall.exe"
    RMDir "$0"
  ${EndIf}
  Pop $1
  Pop $0
FunctionEnd

Section "${NAME}" sec_program
  SectionIn RO
  Call wait_until_closed
  Call remove_older
  SetOverwrite on
  !include /CHARSET=UTF8 "${FILES}"
  SetOutPath "$INSTDIR"
  WriteUninstaller "$INSTDIR\uninstall.exe"

  CreateShortcut "$SMPROGRAMS\${NAME}.lnk" "$INSTDIR\${PROGRAM}" "" "" "" "" "" "Open a neural network and read it"
  WriteRegStr SHCTX "${APP_PATH}" "" "$INSTDIR\${PROGRAM}"

  ; Among the programs of "Open with", whether sessions are opened with it or not.
  WriteRegStr SHCTX "${CLASSES}\Applications\${PROGRAM}" "FriendlyAppName" "${NAME}"
  WriteRegStr SHCTX "${CLASSES}\Applications\${PROGRAM}\SupportedTypes" "${SUFFIX}" ""
  WriteRegStr SHCTX "${CLASSES}\Applications\${PROGRAM}\shell\open\command" "" '"$INSTDIR\${PROGRAM}" --window "%1"'

  WriteRegStr SHCTX "${UNINSTALL}" "DisplayName" "${NAME}"
  WriteRegStr SHCTX "${UNINSTALL}" "DisplayVersion" "${VERSION}"
  WriteRegStr SHCTX "${UNINSTALL}" "DisplayIcon" "$INSTDIR\${PROGRAM},0"
  WriteRegStr SHCTX "${UNINSTALL}" "Publisher" "${PUBLISHER}"
  WriteRegStr SHCTX "${UNINSTALL}" "InstallLocation" "$INSTDIR"
  WriteRegStr SHCTX "${UNINSTALL}" "UninstallString" '"$INSTDIR\uninstall.exe"'
  WriteRegStr SHCTX "${UNINSTALL}" "QuietUninstallString" '"$INSTDIR\uninstall.exe" /S'
  WriteRegDWORD SHCTX "${UNINSTALL}" "EstimatedSize" ${SIZE_KB}
  WriteRegDWORD SHCTX "${UNINSTALL}" "NoModify" 1
  WriteRegDWORD SHCTX "${UNINSTALL}" "NoRepair" 1
SectionEnd

Section "Open sessions (*.mscope) with it" sec_sessions
  WriteRegStr SHCTX "${CLASSES}\${PROGID}" "" "Mechanoscope session"
  WriteRegStr SHCTX "${CLASSES}\${PROGID}\DefaultIcon" "" "$INSTDIR\_internal\session.ico"
  WriteRegStr SHCTX "${CLASSES}\${PROGID}\shell\open" "FriendlyAppName" "${NAME}"
  WriteRegStr SHCTX "${CLASSES}\${PROGID}\shell\open\command" "" '"$INSTDIR\${PROGRAM}" --window "%1"'
  WriteRegStr SHCTX "${CLASSES}\${SUFFIX}\OpenWithProgids" "${PROGID}" ""
  ReadRegStr $0 SHCTX "${CLASSES}\${SUFFIX}" ""
  ${If} $0 == ""  ; what someone else has set stays
    WriteRegStr SHCTX "${CLASSES}\${SUFFIX}" "" "${PROGID}"
  ${EndIf}
  ; For the page "Default apps" of Windows' settings.
  WriteRegStr SHCTX "${CAPABILITIES}" "ApplicationName" "${NAME}"
  WriteRegStr SHCTX "${CAPABILITIES}" "ApplicationDescription" "Open a neural network and read it"
  WriteRegStr SHCTX "${CAPABILITIES}\FileAssociations" "${SUFFIX}" "${PROGID}"
  WriteRegStr SHCTX "Software\RegisteredApplications" "${NAME}" "${CAPABILITIES}"
SectionEnd

Section /o "$\"Open in Mechanoscope$\" for folders" sec_folders
  WriteRegStr SHCTX "${CLASSES}\Directory\shell\${NAME}" "" "Open in ${NAME}"
  WriteRegStr SHCTX "${CLASSES}\Directory\shell\${NAME}" "Icon" "$INSTDIR\${PROGRAM},0"
  WriteRegStr SHCTX "${CLASSES}\Directory\shell\${NAME}\command" "" '"$INSTDIR\${PROGRAM}" --window "%1"'
SectionEnd

Section /o "An icon on the desktop" sec_desktop
  SetOutPath "$INSTDIR"
  CreateShortcut "$DESKTOP\${NAME}.lnk" "$INSTDIR\${PROGRAM}"
SectionEnd

Section "-tell Windows"
  ; SHCNE_ASSOCCHANGED: files get their new icons now, not after the next start.
  System::Call 'shell32::SHChangeNotify(i 0x08000000, i 0, p 0, p 0)'
SectionEnd

LangString about_program ${LANG_ENGLISH} "The program, its bundled models and an entry in the start menu."
LangString about_sessions ${LANG_ENGLISH} "A double click on a saved session opens it, and sessions get an icon of their own."
LangString about_folders ${LANG_ENGLISH} "Right-click a folder that holds a model to open it."
LangString about_desktop ${LANG_ENGLISH} "A second way to start it, beside the start menu."
!insertmacro MUI_FUNCTION_DESCRIPTION_BEGIN
  !insertmacro MUI_DESCRIPTION_TEXT ${sec_program} $(about_program)
  !insertmacro MUI_DESCRIPTION_TEXT ${sec_sessions} $(about_sessions)
  !insertmacro MUI_DESCRIPTION_TEXT ${sec_folders} $(about_folders)
  !insertmacro MUI_DESCRIPTION_TEXT ${sec_desktop} $(about_desktop)
!insertmacro MUI_FUNCTION_DESCRIPTION_END

; --- the start ---------------------------------------------------------------------------------------

!macro choice found section
  ${If} ${found} == ""
    !insertmacro UnselectSection ${section}
  ${Else}
    !insertmacro SelectSection ${section}
  ${EndIf}
!macroend

; An upgrade keeps what was chosen the first time.
Function remember_choices
  ReadRegStr $0 SHCTX "${UNINSTALL}" "InstallLocation"
  ${If} $0 != ""
    ReadRegStr $0 SHCTX "${CLASSES}\${PROGID}" ""
    !insertmacro choice $0 ${sec_sessions}
    ReadRegStr $0 SHCTX "${CLASSES}\Directory\shell\${NAME}" ""
    !insertmacro choice $0 ${sec_folders}
    StrCpy $0 ""
    ${If} ${FileExists} "$DESKTOP\${NAME}.lnk"
      StrCpy $0 "1"
    ${EndIf}
    !insertmacro choice $0 ${sec_desktop}
  ${EndIf}
FunctionEnd

Function .onInit
  ${IfNot} ${AtLeastWin10}
  ${OrIfNot} ${RunningX64}
    MessageBox MB_OK|MB_ICONSTOP "${NAME} needs 64-bit Windows 10 or newer." /SD IDOK
    SetErrorLevel ${OLD_WINDOWS}
    Quit
  ${EndIf}
  ${GetParameters} $0
  ClearErrors
  ${GetOptions} $0 "/AllUsers" $1
  ${IfNot} ${Errors}
    StrCpy $ForAll "1"
    StrCpy $Chosen "1"
    Call is_admin
    Pop $1
    ${If} $1 != "1"
      MessageBox MB_OK|MB_ICONSTOP "Installing for all users needs an administrator: start this setup with $\"Run as administrator$\", or install it for yourself." /SD IDOK
      SetErrorLevel ${NOT_ADMIN}
      Quit
    ${EndIf}
  ${EndIf}
  ClearErrors
  ${GetOptions} $0 "/CurrentUser" $1
  ${IfNot} ${Errors}
    StrCpy $ForAll "0"
    StrCpy $Chosen "1"
  ${EndIf}
  Call settle
  ${If} $INSTDIR == ""
    Call choose_folder
  ${EndIf}
  Call remember_choices
FunctionEnd

; From a setup with an administrator's rights the program would inherit them: the desktop starts it.
Function start_program
  Call is_admin
  Pop $0
  ${If} $0 == "1"
    Exec '"$WINDIR\explorer.exe" "$INSTDIR\${PROGRAM}"'
  ${Else}
    Exec '"$INSTDIR\${PROGRAM}"'
  ${EndIf}
FunctionEnd

; --- what is taken away -----------------------------------------------------------------------------

Function un.onInit
  SetRegView 64
  ; Both may be installed: this folder is the user's own one, or else it belongs to all. (The names
  ; of a folder can differ, through a link or a short name, so all's is not compared.)
  ReadRegStr $0 HKCU "${UNINSTALL}" "InstallLocation"
  ReadRegStr $1 HKLM "${UNINSTALL}" "InstallLocation"
  StrCpy $ForAll "0"
  ${If} $0 != $INSTDIR
  ${AndIf} $1 != ""
    StrCpy $ForAll "1"
    Call un.is_admin
    Pop $0
    ${If} $0 != "1"
      ${IfNot} ${Silent}
        ExecShell "runas" "$INSTDIR\uninstall.exe"
      ${EndIf}
      SetErrorLevel ${NOT_ADMIN}
      Quit
    ${EndIf}
  ${EndIf}
  Call un.settle
FunctionEnd

Section "Uninstall"
  Call un.wait_until_closed
  ; Each file by its name, each folder only when it is empty: nothing else in there is touched.
  !include /CHARSET=UTF8 "${REMOVALS}"
  Delete "$INSTDIR\uninstall.exe"
  RMDir "$INSTDIR"

  Delete "$SMPROGRAMS\${NAME}.lnk"
  Delete "$DESKTOP\${NAME}.lnk"
  DeleteRegKey SHCTX "${APP_PATH}"
  DeleteRegKey SHCTX "${CLASSES}\Applications\${PROGRAM}"
  DeleteRegKey SHCTX "${CLASSES}\Directory\shell\${NAME}"
  DeleteRegKey SHCTX "${CLASSES}\${PROGID}"
  DeleteRegValue SHCTX "${CLASSES}\${SUFFIX}\OpenWithProgids" "${PROGID}"
  DeleteRegKey /ifempty SHCTX "${CLASSES}\${SUFFIX}\OpenWithProgids"
  ReadRegStr $0 SHCTX "${CLASSES}\${SUFFIX}" ""
  ${If} $0 == "${PROGID}"
    DeleteRegValue SHCTX "${CLASSES}\${SUFFIX}" ""
  ${EndIf}
  DeleteRegKey /ifempty SHCTX "${CLASSES}\${SUFFIX}"
  DeleteRegValue SHCTX "Software\RegisteredApplications" "${NAME}"
  DeleteRegKey SHCTX "${CAPABILITIES}"
  DeleteRegKey /ifempty SHCTX "Software\${NAME}"
  DeleteRegKey SHCTX "${UNINSTALL}"
  System::Call 'shell32::SHChangeNotify(i 0x08000000, i 0, p 0, p 0)'
SectionEnd
