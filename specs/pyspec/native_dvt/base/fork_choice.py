# Fork choice of Fulu. Part of a generated module: no imports here.
