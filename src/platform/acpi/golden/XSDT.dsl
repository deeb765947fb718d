
[000h 0000   4]                    Signature : "XSDT"    [Extended System Description Table]
[004h 0004   4]                 Table Length : 00000044
[008h 0008   1]                     Revision : 01
[009h 0009   1]                     Checksum : E6
[00Ah 0010   6]                       Oem ID : "TOUKA "
[010h 0016   8]                 Oem Table ID : "TOUKAVM "
[018h 0024   4]                 Oem Revision : 00000001
[01Ch 0028   4]              Asl Compiler ID : "TOUK"
[020h 0032   4]        Asl Compiler Revision : 00000001

[024h 0036   8]       ACPI Table Address   0 : 00000000000E09C0
[02Ch 0044   8]       ACPI Table Address   1 : 00000000000E0B00
[034h 0052   8]       ACPI Table Address   2 : 00000000000E0B80
[03Ch 0060   8]       ACPI Table Address   3 : 00000000000E0BC0

Raw Table Data: Length 68 (0x44)

    0000: 58 53 44 54 44 00 00 00 01 E6 54 4F 55 4B 41 20  // XSDTD.....TOUKA 
    0010: 54 4F 55 4B 41 56 4D 20 01 00 00 00 54 4F 55 4B  // TOUKAVM ....TOUK
    0020: 01 00 00 00 C0 09 0E 00 00 00 00 00 00 0B 0E 00  // ................
    0030: 00 00 00 00 80 0B 0E 00 00 00 00 00 C0 0B 0E 00  // ................
    0040: 00 00 00 00                                      // ....
